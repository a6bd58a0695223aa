"""The report page: complete, self-contained, safe, and without errors in a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest

import esml
from esml.results import Result

pytest.importorskip("plotly")
pytest.importorskip("skimage")

from esml.plots.page import page, write_page

EXAMPLES = Path(__file__).parents[2] / "examples"
EVIL = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


@cache
def result() -> Result:
    return esml.load_model().predict(ase.io.read(EXAMPLES / "p-nitroaniline.xyz"), n_states=3)


@cache
def text() -> str:
    return page(result(), name=EVIL, notes=[EVIL])


class Elements(HTMLParser):
    """Start tags with their attributes, and the text of the heading."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.heading = ""
        self._inside = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "h1":
            self.heading += data


def data() -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text(), re.S)
    assert found is not None
    return json.loads(found.group(1))


def unpacked(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"])


def test_texts_from_outside_are_escaped() -> None:
    elements = Elements(text())
    assert elements.heading == EVIL
    assert [tag for tag, _ in elements.tags].count("script") == 3
    assert "img" not in [tag for tag, _ in elements.tags]
    assert not any("onerror" in attributes for _, attributes in elements.tags)


def test_nothing_is_fetched_from_a_network() -> None:
    for tag, attributes in Elements(text()).tags:
        for key in ("src", "href"):
            target = attributes.get(key)
            assert target is None or target.startswith("data:"), (tag, target)


def test_every_state_is_in_the_table_with_its_character() -> None:
    rows = re.findall(r'<tr data-state="(..)"[^>]*>(.*?)</tr>', text())
    assert [label for label, _ in rows] == ["S1", "S2", "S3", "T1", "T2", "T3"]
    cells = [re.findall(r"<td>(.*?)</td>", row) for _, row in rows]
    for k, character in enumerate(result().characters()):
        assert cells[k][1] == f"{result().singlets.energies[k]:.2f}"
        assert cells[k][5] == character.label
        assert character.where in cells[k][7]


def test_surfaces_are_closed_and_lie_on_the_molecule() -> None:
    found = data()
    labels = {key.split("-")[0] for key in found["surfaces"]}
    assert labels >= {"HOMO", "LUMO", "S1", "S2", "S3", "T1"}
    atoms = np.array([found["scene"]["atoms"][axis] for axis in "xyz"]).T
    for entry in found["surfaces"].values():
        for mesh in entry["signs"]:
            vertices = np.stack([unpacked(mesh[axis]) for axis in "xyz"], axis=1)
            triangles = np.stack([unpacked(mesh[corner]) for corner in "ijk"], axis=1)
            edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
            _, counts = np.unique(edges, axis=0, return_counts=True)
            assert (counts == 2).all()  # every edge between two triangles: no hole
            nearest = np.linalg.norm(vertices[:, None] - atoms, axis=2).min(1)
            assert nearest.max() < 2.0


def test_molecule_and_distances_survive_the_turn_to_the_viewer() -> None:
    atoms = np.array([data()["scene"]["atoms"][axis] for axis in "xyz"]).T
    expected = result().atoms.get_all_distances()
    found = np.linalg.norm(atoms[:, None] - atoms, axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_molecule_without_spread_still_makes_a_page(tmp_path: Path) -> None:
    hydrogen = esml.load_model().predict(ase.io.read(EXAMPLES / "benzene.xyz"), n_states=1)
    path = tmp_path / "one.html"
    write_page(hydrogen, path)
    assert "C<sub>6</sub>H<sub>6</sub>" in path.read_text(encoding="utf-8")


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_shows_the_page_without_errors(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(text(), encoding="utf-8")
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--use-gl=angle",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            "--enable-logging=stderr",
            "--window-size=700,700",
            "--virtual-time-budget=10000",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=500,
        check=True,
    )
    # The last line of the script, and what plotly draws into.
    assert 'data-ready="yes"' in done.stdout
    assert done.stdout.count("gl-container") >= 2
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in console if "rror" in line], console
