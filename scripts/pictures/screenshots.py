"""Screenshots of the report page and of the server's page, for the documentation.

    python -m scripts.pictures.screenshots docs/figures

Needs Chromium and Playwright; takes a minute where graphics are drawn in software. Ends with an
error where the browser's console has one.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ase.io import read

from esml import load_model
from esml.export.orbital_files import molden_text
from esml.plots.page import write_page
from esml.serve import Batches, Service, create_app

ROOT = Path(__file__).parents[2]
DYE = "CN(C)c1ccc(cc1)/N=N/c1ccccc1"
OPTIONS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=OPTIONS)
        yield opened
        opened.close()


def tab(opened: Any, url: str, width: int, height: int, dark: bool = False) -> Any:
    """A page of the browser, ready; SystemExit where its console has a message."""
    context = opened.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.set_default_timeout(600_000)

    def heard(message: Any) -> None:
        if "GL Driver" not in message.text:
            raise SystemExit(f"{url}: {message.text}")

    page.on("console", heard)
    page.goto(url, wait_until="commit")
    page.wait_for_selector("body[data-ready=yes]")
    return page


def keep(page: Any, path: Path, whole: bool = False) -> None:
    """Save what a page shows, in 128 colours."""
    from PIL import Image

    page.screenshot(path=path, full_page=whole)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
    print(path, f"{path.stat().st_size / 1e3:.0f} kB")


def report(opened: Any, folder: Path, atoms_file: Path) -> None:
    """The report page of a molecule: on a screen, in the dark, on a phone."""
    result = load_model().predict(read(atoms_file), n_states=10)
    with TemporaryDirectory() as made:
        path = Path(made) / "report.html"
        attachments = {"orbitals.molden": molden_text(result)}
        write_page(result, path, atoms_file.stem, attachments=attachments)
        keep(tab(opened, path.as_uri(), 1100, 1000), folder / "report.png")
        keep(tab(opened, path.as_uri(), 1100, 1000, dark=True), folder / "report-dark.png")
        keep(tab(opened, path.as_uri(), 390, 800), folder / "report-phone.png")


def server(opened: Any, folder: Path) -> None:
    """The page of the server with a dye and a finished list."""
    import uvicorn

    with TemporaryDirectory() as made, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        service = Service()
        batches = Batches(service, Path(made))
        service.start()
        batches.start()
        running = uvicorn.Server(
            uvicorn.Config(create_app(service, batches), log_level="warning", lifespan="off")
        )
        thread = threading.Thread(target=running.run, kwargs={"sockets": [free]})
        thread.start()
        while not running.started:
            time.sleep(0.05)
        page = tab(opened, f"http://127.0.0.1:{free.getsockname()[1]}/", 1100, 1000)
        page.fill("#smiles", DYE)
        page.get_by_text("Answered in").wait_for()
        keep(page, folder / "serve.png")
        running.should_exit = True
        thread.join()
        batches.close()
        service.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--only", choices=("report", "server"))
    parser.add_argument("--molecule", type=Path, default=ROOT / "examples/p-nitroaniline.xyz")
    options = parser.parse_args()
    with browser() as opened:
        if options.only != "server":
            report(opened, options.folder, options.molecule)
        if options.only != "report":
            server(opened, options.folder)


if __name__ == "__main__":
    main()
