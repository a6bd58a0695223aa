"""Check that the report page and the page of the server are accessible, with axe-core.

    python -m scripts.pictures.accessibility

Checks both in light and in dark, empty and with a molecule, against the rules of WCAG 2.2 (A, AA)
and the best practices of axe-core. Needs Chromium, Playwright and axe-playwright-python. Ends with
exit code 1 if something is found.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from esml import load_model
from esml.io import read_structure
from esml.plots.page import write_page
from scripts.pictures.browsing import browser, tab
from scripts.serving import served

ROOT = Path(__file__).parents[2]


def violations(page: Any) -> list[str]:
    """List what axe-core finds in a browser page: rule, element and problem, a line each."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        f"{rule['id']}: {' '.join(node['target'])}: {' '.join(node['failureSummary'].split())}"
        for rule in Axe().run(page).response["violations"]
        for node in rule["nodes"]
    ]


def report(opened: Any) -> dict[str, list[str]]:
    """Return the findings on the report page by place."""
    path = ROOT / "examples" / "p-nitroaniline.xyz"
    result = load_model().predict(read_structure(path), n_states=4)
    found = {}
    with TemporaryDirectory() as made:
        page = Path(made) / "report.html"
        write_page(result, page, path.stem, notes=["Charge: 0."])
        for dark in (False, True):
            place = f"report page, {'dark' if dark else 'light'}"
            found[place] = violations(tab(opened, page.as_uri(), 1100, 900, dark))
    return found


def server(opened: Any) -> dict[str, list[str]]:
    """Return the findings on the server's pages."""
    found = {}
    with served() as running:
        for dark in (False, True):
            name = "dark" if dark else "light"
            page = tab(opened, running.url, 1100, 900, dark)
            found[f"server, {name}, empty"] = violations(page)
            page.fill("#smiles", "O=Cc1ccccc1")
            page.get_by_text("Answered in").wait_for()
            found[f"server, {name}, benzaldehyde"] = violations(page)
            page.goto(f"{running.url}/api")
            found[f"server, {name}, REST interface"] = violations(page)
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    with browser() as opened:
        found = report(opened) | server(opened)
    for place, lines in found.items():
        print(f"{place}: {len(lines)} found")
        for line in lines:
            print(f"  {line}")
    if any(found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
