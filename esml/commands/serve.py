"""``esml serve``: the web page and the REST interface on this machine, or tools for assistants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from esml.commands.messages import fail, note, refusing, working
from esml.commands.options import DeviceOption, check_packages

LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but that of this machine needs a token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="ESML_TOKEN",
            help="Token that requests must send: 'Authorization: Bearer TOKEN'.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="Model to serve; repeat for several. Every shipped model if left out."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where batches are kept; ~/.esml/batches if left out.")
    ] = None,
    tools: Annotated[
        bool,
        typer.Option(
            "--tools",
            help="Speak the model context protocol on standard input and output instead.",
        ),
    ] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Serve a page to draw molecules and see their spectra, and a REST interface.

    On this machine only, unless --host says else. Batches that a stopped server left unfinished
    are continued.
    """
    if tools:
        check_packages("mcp", option="--tools", extra="tools")
    else:
        check_packages("fastapi", "uvicorn", option="esml serve", extra="serve")
        if host not in LOCAL and not token:
            fail(
                f"--host {host} lets other machines ask: expected a --token (or ESML_TOKEN) beside "
                "it; choose a long one"
            )
    with working("loading"):
        from esml.io.files import BusyError
        from esml.serve import Batches, Service, create_app, create_tools
        from esml.serve.app import LOCAL as NAMES
        from esml.serve.app import default_folder

    service = Service(tuple(model or ()), device=device)
    with refusing(ValueError, OSError), working("loading the models"):
        for name in service.models:
            service.model(name)
    if tools:
        try:
            create_tools(service).run("stdio")
        finally:
            service.close()
        return
    import uvicorn

    with refusing(BusyError, OSError):
        batches = Batches(service, folder or default_folder())
    with working("starting what makes geometries"):
        service.start()
    batches.start()
    application = create_app(service, batches, token or "", NAMES if host in LOCAL else ())
    ending = f"#token={token}" if token else ""
    note(f"esml serves http://{'localhost' if host in LOCAL else host}:{port}/{ending}")
    uvicorn.run(application, host=host, port=port, log_level="warning")
