"""Take screenshots of the report page and of the server's page for the documentation.

    python -m scripts.pictures.screenshots docs/figures

Needs Chromium and Playwright; takes a minute if graphics are drawn in software. Ends with an error
if the browser's console has one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from esml import load_model
from esml.export.orbital_files import molden_text
from esml.io import read_structure
from esml.plots.page import write_page
from scripts.pictures.browsing import browser, tab
from scripts.serving import served

ROOT = Path(__file__).parents[2]
DYE = "CN(C)c1ccc(cc1)/N=N/c1ccccc1"


def keep(page: Any, path: Path, whole: bool = False) -> None:
    """Save a screenshot of a page, in 128 colours."""
    from PIL import Image

    page.screenshot(path=path, full_page=whole)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
    print(path, f"{path.stat().st_size / 1e3:.0f} kB")


def report(opened: Any, folder: Path, atoms_file: Path) -> None:
    """Take the report page of a molecule: on a screen, in dark mode, on a phone."""
    result = load_model().predict(read_structure(atoms_file), n_states=10)
    with TemporaryDirectory() as made:
        path = Path(made) / "report.html"
        attachments = {"orbitals.molden": molden_text(result)}
        write_page(result, path, atoms_file.stem, attachments=attachments)
        # Down to the end of spectrum and diagram.
        keep(tab(opened, path.as_uri(), 1100, 1210), folder / "report.png")
        keep(tab(opened, path.as_uri(), 1100, 1000, dark=True), folder / "report-dark.png")
        keep(tab(opened, path.as_uri(), 390, 800), folder / "report-phone.png")


def server(opened: Any, folder: Path) -> None:
    """Take the page of the server with a dye."""
    with served() as running:
        page = tab(opened, running.url, 1100, 1000)
        page.fill("#smiles", DYE)
        page.get_by_text("Answered in").wait_for()
        # Down to the end of a row.
        row = page.locator("#table tbody tr").nth(7).bounding_box()
        page.set_viewport_size({"width": 1100, "height": round(row["y"] + row["height"]) + 1})
        keep(page, folder / "serve.png")


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
