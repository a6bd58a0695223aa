"""The web application: the page, and the REST interface it uses.

Every bad request is answered by ``{"error": a sentence}``. Requests from other web pages are
refused by their ``Origin``, requests under a host name the server was not started with by their
``Host``, so that no page on the internet can reach a server on this machine through a browser.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esml import __version__
from esml.io.surroundings import solvents
from esml.plots.page import part
from esml.serve.batches import Batches, BatchQuestion
from esml.serve.limits import Limits, RefusedError
from esml.serve.service import Question, Service

if TYPE_CHECKING:
    from fastapi import FastAPI

DRAINED, DRAIN_SECONDS = 64_000_000, 10.0
"""Largest number of bytes still read of a refused request, and the longest time to do so."""

LOCAL = ("localhost", "127.0.0.1", "[::1]")
"""Host names of this machine for itself."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: "
    "blob:; connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content security policy of the page: it loads nothing from other servers."""

STATIC = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "spectrum.js": "text/javascript; charset=utf-8",
    "openchemlib.js": "text/javascript; charset=utf-8",
}

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


def create_app(
    service: Service,
    batches: Batches,
    token: str = "",
    hosts: tuple[str, ...] = LOCAL,
) -> Any:
    """Create the application, for uvicorn or any other ASGI server.

    Parameters
    ----------
    service, batches
        What answers requests; both are closed when the application ends.
    token
        Token that the header ``Authorization: Bearer …`` must contain; none is needed if empty.
    hosts
        Host names under which the server answers.

    Raises
    ------
    ImportError
        If FastAPI is not installed.
    """
    try:
        from fastapi import FastAPI
    except ImportError as error:
        raise ImportError('the server needs FastAPI: pip install "esml[serve]"') from error

    @asynccontextmanager
    async def life(_: Any) -> AsyncIterator[None]:
        yield
        batches.close()
        service.close()

    app = FastAPI(
        title="esml",
        version=__version__,
        description="Excited states of organic molecules. Every refusal is an object with the "
        "member `error`, a sentence.",
        docs_url=None,  # FastAPI's page loads scripts from other servers; ours is /api
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=life,
    )
    app.add_middleware(_Guard, token=token, hosts=hosts, limits=service.limits)
    _add_refusals(app)
    _add_pages(app)
    _add_questions(app, service)
    _add_batches(app, batches)
    return app


def _add_refusals(app: FastAPI) -> None:
    """Answer every bad request with one sentence."""
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse

    async def refused(_: Request, error: Exception) -> JSONResponse:
        status = error.status if isinstance(error, RefusedError) else 500
        return JSONResponse({"error": str(error)}, status)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"][1:])
        sentence = f"{place or 'the question'}: {first['msg']}; see /api for what is expected"
        return JSONResponse({"error": sentence}, 422)

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(RequestValidationError, invalid)


def _add_pages(app: FastAPI) -> None:
    """Add the page, the reference of the REST interface, and the files of both."""
    from fastapi.responses import HTMLResponse, Response

    @app.get("/", include_in_schema=False)
    def index() -> Any:
        return HTMLResponse(
            _text("page.html").replace("@version@", escape(__version__)),
            headers={"Content-Security-Policy": POLICY},
        )

    @app.get("/api", include_in_schema=False)
    def reference() -> Any:
        return HTMLResponse(_reference(app.openapi()), headers={"Content-Security-Policy": POLICY})

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Any:
        if name not in STATIC:
            raise RefusedError("there is no such file: expected one of the page", 404)
        text = _spectrum_script() if name == "spectrum.js" else _text(name)
        return Response(text, media_type=STATIC[name], headers={"Cache-Control": "max-age=3600"})


def _add_questions(app: FastAPI, service: Service) -> None:
    """Add the requests about the server and about one molecule."""
    from fastapi.responses import HTMLResponse

    @app.get("/api/v1/about")
    def about() -> dict[str, Any]:
        """Version, models, solvents and limits of the server."""
        limits = vars(service.limits)
        return {
            "version": __version__,
            "models": list(service.models),
            "solvents": ["vacuum", *solvents()],
            "limits": limits,
        }

    @app.post("/api/v1/predict")
    def predict(question: Question) -> dict[str, Any]:
        """States and spectrum of one molecule."""
        return service.answer(question)

    @app.post("/api/v1/report", response_class=HTMLResponse)
    def report(question: Question) -> Any:
        """The report page of one molecule: one file that works without the server."""
        return HTMLResponse(service.report(question))


def _add_batches(app: FastAPI, batches: Batches) -> None:
    """Add the requests that start, watch, fetch and remove batches."""
    from fastapi.responses import FileResponse

    @app.post("/api/v1/batches", status_code=201)
    def add(question: BatchQuestion) -> dict[str, Any]:
        """Start a batch: a list of molecules that are predicted one after another."""
        return batches.add(question)

    @app.get("/api/v1/batches")
    def listed() -> list[dict[str, Any]]:
        """All batches, newest first, with their progress."""
        return batches.listed()

    @app.get("/api/v1/batches/{name}")
    def describe(name: str) -> dict[str, Any]:
        """Progress of a batch."""
        return batches.describe(name)

    @app.get("/api/v1/batches/{name}/result", response_class=FileResponse)
    def result(name: str) -> Any:
        """Result file of a finished batch."""
        path = batches.result(name)
        return FileResponse(path, filename=f"{name}{path.suffix}")

    @app.delete("/api/v1/batches/{name}", status_code=204)
    def remove(name: str) -> None:
        """Stop a batch and delete it."""
        batches.remove(name)


def _text(name: str) -> str:
    return (files("esml.serve") / name).read_text(encoding="utf-8")


def _spectrum_script() -> str:
    """Return the script that draws spectra on the report page, as a module."""
    shared = part("page_orbitals.js").partition("class Orbitals")[0] + part("page_spectrum.js")
    return f"{shared}\nexport {{ Spectrum, save }};\n"


def _reference(schema: dict[str, Any]) -> str:
    """Make the reference page of the REST interface from its OpenAPI description."""
    rows = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            fields = ""
            body = operation.get("requestBody")
            if body:
                name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                members = schema["components"]["schemas"][name]["properties"]
                lines = [
                    f"<tr><th scope='row'><code>{escape(key)}</code></th>"
                    f"<td>{escape(_kind(member))}</td>"
                    f"<td>{escape(member.get('description', ''))}</td></tr>"
                    for key, member in members.items()
                ]
                fields = f"<table>{''.join(lines)}</table>"
            rows.append(
                f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{escape(operation.get('description', ''))}</p>{fields}</section>"
            )
    return _text("reference.html").replace("@operations@", "\n".join(rows))


def _kind(member: dict[str, Any]) -> str:
    kind = ", ".join(map(str, member["enum"])) if "enum" in member else str(member.get("type", ""))
    return f"{kind}; {member['default']!r} if left out" if member.get("default") else kind


class _Guard:
    """Check host name, origin, token and size of every request before it is answered."""

    def __init__(self, app: Any, token: str, hosts: tuple[str, ...], limits: Limits) -> None:
        self.app, self.token, self.hosts, self.limits = app, token, hosts, limits

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        most = self._most(scope["path"])
        try:
            try:
                self._check(scope["path"], headers)
                length = headers.get("content-length", "0")
                self.limits.check_size(int(length) if length.isdigit() else most + 1, most)
            except RefusedError:
                await _drain(receive)
                raise
            body = await self._body(receive, most)
        except RefusedError as refusal:
            from fastapi.responses import JSONResponse

            await JSONResponse({"error": str(refusal)}, refusal.status)(scope, receive, send)
            return
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await self.app(scope, whole, secured)

    def _most(self, path: str) -> int:
        # Characters of a list may take several bytes in JSON.
        return 2 * self.limits.batch if path.endswith("/batches") else self.limits.question

    def _check(self, path: str, headers: dict[str, str]) -> None:
        """Raise RefusedError if the request is not allowed."""
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self.hosts and name not in self.hosts:
            raise RefusedError("the server was not started under this name: see --host", 421)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise RefusedError("questions of other web pages are not answered", 403)
        given = headers.get("authorization", "").removeprefix("Bearer ")
        known = not self.token or hmac.compare_digest(given.encode(), self.token.encode())
        if path.startswith("/api/v1/") and not known:
            raise RefusedError("a token is needed: expected 'Authorization: Bearer TOKEN'", 401)

    async def _body(self, receive: Receive, most: int) -> bytes:
        found = bytearray()
        while True:
            message = await receive()
            found += message.get("body", b"")
            if len(found) > most and message.get("more_body"):
                await _drain(receive)
            self.limits.check_size(len(found), most)
            if not message.get("more_body"):
                return bytes(found)


async def _drain(receive: Receive) -> None:
    """Read the rest of a refused request, within limits.

    Clients such as urllib send the whole request before they read the answer. If the connection
    were closed earlier, they would lose the sentence with the reason.
    """
    left = DRAINED
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def default_folder() -> Path:
    """Return the folder of batches if none is named."""
    return Path.home() / ".esml" / "batches"
