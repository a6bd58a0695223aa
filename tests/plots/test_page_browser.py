"""The report page in a browser: what its scripts compute, and what a person can do."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needed, opened
from surrogate_cases import read_one, vibronic

import esml
from esml.analysis.orbital_shapes import Grid, Shapes, isovalue
from esml.analysis.spectrum import broaden, uncertainty_band
from esml.export.orbital_files import molden_text
from esml.plots.page import write_page
from esml.plots.page_data import frame
from esml.predict.details import state_details
from esml.predict.two_photon import with_two_photon
from esml.results import Result
from esml.units import HC

pytestmark = needed

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def result() -> Result:
    return esml.load_model().predict(read_one(EXAMPLES / "p-nitroaniline.xyz"), n_states=3)


@pytest.fixture(scope="module")
def session(
    result: Result, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, list[str], list[str]]]:
    path = tmp_path_factory.mktemp("page") / "page.html"
    details = state_details(esml.load_model(), result, "T1")
    attachments = {"pna.molden": molden_text(result)}
    write_page(result, path, "p-nitroaniline", attachments=attachments, details=details)
    size = {"width": 390, "height": 700}
    with opened(path.as_uri(), viewport=size, has_touch=True) as found:
        yield found


@pytest.fixture(scope="module")
def tab(session: tuple[Any, list[str], list[str]]) -> Any:
    return session[0]


def test_orbitals_have_the_values_that_python_gives(tab: Any, result: Result) -> None:
    """HOMO on points around the molecule, as the script evaluates it and as ``Shapes`` does."""
    grid = tab.evaluate(
        """() => {
            const grid = {origin: [-3, -2, -1], spacing: 0.9, shape: [7, 5, 3]};
            return Array.from(space.values(orbitalOf.HOMO.vector, grid));
        }"""
    )
    centre, axes = frame(result)
    steps = np.stack(np.meshgrid(*map(np.arange, (7, 5, 3)), indexing="ij"), axis=-1)
    points = ([-3, -2, -1] + 0.9 * steps.reshape(-1, 3)) @ axes + centre
    homo = result.wavefunctions().coefficients[:, result.n_occupied - 1 : result.n_occupied]
    shapes = Shapes(result.atoms)
    expected = [shapes.values(homo, Grid(point, 1.0, (1, 1, 1))).item() for point in points]
    np.testing.assert_allclose(grid, expected, atol=2e-4)


def test_the_table_of_states_to_download_has_two_photon_strengths(
    tab: Any, result: Result, tmp_path: Path
) -> None:
    """Where they were asked for; without them no column is there."""
    rows = list(csv.DictReader(tab.evaluate("statesCsv()").splitlines()))
    assert [row["state"] for row in rows] == ["S1", "S2", "S3", "T1", "T2", "T3"]
    assert not any("two_photon" in name for name in rows[0])
    filled = with_two_photon(esml.load_model(), result)
    write_page(filled, tmp_path / "page.html")
    page = tab.context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    rows = list(csv.DictReader(page.evaluate("statesCsv()").splitlines()))
    page.close()
    for k, row in enumerate(rows):
        if k < 3:
            strength = filled.singlets.two_photon_strengths[k]
            assert float(row["two_photon_au"]) == pytest.approx(strength, abs=1e-6)
            assert float(row["energy_eV"]) == pytest.approx(result.singlets.energies[k], abs=1e-6)
        else:
            assert row["two_photon_au"] == ""
        assert row["character"]


def test_surfaces_are_closed_and_where_the_orbital_has_the_value(tab: Any, result: Result) -> None:
    mesh = tab.evaluate(
        """() => {
            const values = space.values(orbitalOf.LUMO.vector);
            const level = isovalue(values, 0.7, 2), mesh = surface(values, space.grid, -level);
            return {level, vertices: mesh.vertexArr.map((v) => [v.x, v.y, v.z]),
                normals: mesh.normalArr.map((v) => [v.x, v.y, v.z]), faces: mesh.faceArr};
        }"""
    )
    vertices, triangles = np.array(mesh["vertices"]), np.array(mesh["faces"]).reshape(-1, 3)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts % 2 == 0).all()  # no hole
    shapes = Shapes(result.atoms)
    lumo = result.wavefunctions().coefficients[:, result.n_occupied : result.n_occupied + 1]
    fine = shapes.values(lumo, shapes.grid(0.2))[0]
    assert mesh["level"] == pytest.approx(isovalue(fine, 0.7), rel=0.02)
    centre, axes = frame(result)
    some = np.random.default_rng(0).choice(len(vertices), 60, replace=False)
    normals = np.array(mesh["normals"])

    def values(offset: float) -> np.ndarray:
        """Along the normals, ``offset`` (Å) outwards."""
        points = (vertices[some] + offset * normals[some]) @ axes + centre
        return np.array([shapes.values(lumo, Grid(p, 1.0, (1, 1, 1))).item() for p in points])

    assert np.median(np.abs(values(0.0))) == pytest.approx(mesh["level"], rel=0.1)
    # The level lies between half a spacing of the grid inside and half a one outside, but where
    # outside is another lobe.
    inner, outer = np.abs(values(-0.08)), np.abs(values(0.08))
    assert (inner > mesh["level"]).mean() > 0.98
    assert (outer < mesh["level"]).mean() > 0.95
    # Faces look outwards, as the normals do.
    corners = vertices[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("ij,ij->i", across, normals[triangles].mean(1)) > 0.0).mean() > 0.98


def test_the_spectrum_and_its_band_are_those_of_python(tab: Any, result: Result) -> None:
    energies = np.linspace(3.5, 6.0, 9)
    singlets = result.singlets
    curve = broaden(singlets.energies, singlets.oscillator_strengths, 0.3, energies=energies)
    found = tab.evaluate(
        "(es) => es.map((e) => [spectrum.value(e), ...spectrum.band(e)])", energies.tolist()
    )
    absorption, low, high = np.array(found).T
    # The script leaves out lines beyond six standard deviations, and has energies of five digits.
    np.testing.assert_allclose(absorption, curve.absorption, atol=1e-4 * curve.absorption.max())
    band = uncertainty_band(
        singlets.energies, singlets.oscillator_strengths, singlets.uncertainties, curve
    )
    assert band is not None
    # Both are quantiles of some hundred draws.
    np.testing.assert_allclose(low, band[0], atol=0.06 * band[1].max())
    np.testing.assert_allclose(high, band[1], atol=0.06 * band[1].max())


def test_vibronic_bands_are_those_of_python(tab: Any, result: Result, tmp_path: Path) -> None:
    """At their width, which no slider changes, and without a band of uncertainty."""
    curve = vibronic(result)
    write_page(result, tmp_path / "page.html", fwhm=curve.fwhm, vibronic=curve)
    page = tab.context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    energies = np.linspace(0.5, 8.0, 301)
    found = page.evaluate("(es) => es.map((e) => spectrum.value(e))", energies.tolist())
    longest = page.evaluate("spectrum.range[1]")
    assert not page.is_visible("#width")
    assert page.locator("#spectrum polygon").count() == 0
    page.close()
    # Between the points of the curve, a tenth of its width apart, the script takes straight lines.
    np.testing.assert_allclose(found, curve.at(energies), atol=0.01 * curve.absorption.max())
    assert longest > HC / min(band.zero_zero for band in curve.transitions)


def test_circular_dichroism_is_that_of_python(tab: Any, result: Result, tmp_path: Path) -> None:
    """Its curve, its downloads, and absorption by the menu."""
    strengths = np.array([30.0, -20.0, 5.0])
    chiral = replace(result, singlets=replace(result.singlets, rotatory_strengths=strengths))
    write_page(chiral, tmp_path / "page.html", dichroism=True)
    page = tab.context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    curve = chiral.dichroism()
    found = page.evaluate("(es) => es.map((e) => spectrum.value(e))", curve.energies.tolist())
    title = page.inner_text("#h-spectrum")
    table = page.evaluate("spectrum.csv()").splitlines()
    states = list(csv.DictReader(page.evaluate("statesCsv()").splitlines()))
    page.select_option("#quantity", "absorption")
    energy = float(result.singlets.energies[0])
    absorption = page.evaluate("(e) => spectrum.value(e)", energy)
    axis = page.inner_text("#spectrum")
    page.close()
    np.testing.assert_allclose(found, curve.dichroism, atol=1e-4 * np.abs(curve.dichroism).max())
    assert title == "Circular dichroism"
    assert table[0].endswith("dichroism_L_mol-1_cm-1")
    assert [row["R"] for row in states] == ["30", "-20", "5", "", "", ""]
    assert absorption == pytest.approx(result.spectrum().at([energy])[0], rel=1e-3)
    assert "ε (10³" in axis


def test_it_opens_on_the_brightest_state_and_others_can_be_chosen(tab: Any, result: Result) -> None:
    brightest = f"S{int(result.singlets.oscillator_strengths.argmax()) + 1}"
    assert tab.input_value("#choice") == brightest
    assert "HOMO → LUMO 9" in tab.inner_text("#pairs")
    tab.click("button[data-state=T1]")
    assert tab.inner_text("#caption-a").startswith("T1 hole")
    assert tab.inner_text("#caption-b").startswith("T1 electron")
    tab.select_option("#view", "transition")
    assert tab.inner_text("#caption-a").startswith("T1 transition density")
    assert not tab.is_visible("#scene-b")
    tab.select_option("#choice", "LUMO")
    assert tab.inner_text("#caption-a").startswith("LUMO, ")
    tab.evaluate("spectrum.onPick('S1')")
    tab.select_option("#view", "natural")
    assert tab.inner_text("#caption-b").startswith("S1 electron")


def test_sliders_change_the_spectrum(tab: Any) -> None:
    before = tab.get_attribute("#spectrum .curve", "points")
    tab.fill("#width", "0.6")
    wider = tab.get_attribute("#spectrum .curve", "points")
    assert wider != before
    assert tab.inner_text("#width-text") == "0.60 eV"
    tab.select_option("#unit", "eV")
    assert "Energy (eV)" in tab.inner_text("#spectrum")
    tab.fill("#from", "3")
    assert tab.evaluate("spectrum.range[0]") == 3.0
    tab.hover("#spectrum svg")
    assert _is_reading(tab.inner_text("#reading"))


def _is_reading(text: str) -> bool:
    return " nm, " in text and "ε = " in text


@pytest.mark.parametrize(
    ("button", "ending", "content"),
    [
        ("Spectrum, CSV", "-spectrum.csv", b"energy_eV,wavelength_nm"),
        ("Spectrum, SVG", "-spectrum.svg", b"<svg"),
        ("Spectrum, PNG", "-spectrum.png", b"\x89PNG"),
        ("Formula, SVG", "-formula.svg", b"<svg"),
        ("States, CSV", "-states.csv", b"state,energy_eV"),
        ("Surfaces, PNG", ".png", b"\x89PNG"),
        ("Geometry, xyz", ".xyz", b"16\nC6H6N2O2"),
        ("pna.molden", ".molden", b"[Molden Format]"),
    ],
)
def test_files_can_be_had(
    tab: Any, tmp_path: Path, button: str, ending: str, content: bytes
) -> None:
    # One button may give two files.
    with tab.expect_download(lambda file: file.suggested_filename.endswith(ending)) as waiting:
        tab.click(f'#downloads button:text-is("{button}")')
    waiting.value.save_as(tmp_path / "file")
    assert (tmp_path / "file").read_bytes().startswith(content)


def test_it_fits_a_phone(tab: Any) -> None:
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def eventually(tab: Any, condition: str) -> None:
    """Wait until a script is true; the page forbids what Playwright would wait with."""
    for _ in range(200):
        if tab.evaluate(condition):
            return
        time.sleep(0.1)
    raise AssertionError(condition)


HEIGHTS = """() => [...document.querySelectorAll("#spectrum text:not([transform])")]
    .map((text) => text.getBoundingClientRect().height)"""


def test_letters_of_the_spectrum_keep_their_size(tab: Any) -> None:
    """On a phone, and when it is turned."""
    for width in (390, 700, 390):
        tab.set_viewport_size({"width": width, "height": 700})
        eventually(
            tab,
            "Math.abs(document.querySelector('#spectrum svg').viewBox.baseVal.width"
            " - document.getElementById('spectrum').clientWidth) <= 1",
        )
        heights = tab.evaluate(HEIGHTS)
        assert len(heights) > 8
        assert min(heights) >= 9.0
        assert max(heights) <= 20.0


def test_a_finger_reads_the_spectrum_and_moves_a_slider(tab: Any) -> None:
    tab.locator("#spectrum").scroll_into_view_if_needed()
    box = tab.locator("#spectrum svg").bounding_box()
    tab.touchscreen.tap(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"])
    assert _is_reading(tab.inner_text("#reading"))
    slider = tab.locator("#width").bounding_box()
    tab.touchscreen.tap(slider["x"] + 0.9 * slider["width"], slider["y"] + 0.5 * slider["height"])
    assert tab.evaluate("spectrum.fwhm") > 0.8


def test_a_finger_turns_the_molecule(tab: Any) -> None:
    view = "JSON.stringify(scenes.a.viewer.getView())"
    before = tab.evaluate(view)
    tab.locator("#scene-a").scroll_into_view_if_needed()
    box = tab.locator("#scene-a").bounding_box()
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    finger = tab.context.new_cdp_session(tab)
    for kind, step in (("touchStart", 0), ("touchMove", 20), ("touchMove", 40), ("touchEnd", None)):
        points = [] if step is None else [{"x": x + step, "y": y}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    eventually(tab, f"{view} !== {json.dumps(before)}")


def test_tables_fit_a_small_laptop(tab: Any) -> None:
    tab.set_viewport_size({"width": 1100, "height": 900})
    for table in ("states", "fragments"):
        scrolled, shown = tab.evaluate(
            """(id) => {
                const place = document.getElementById(id).parentElement;
                return [place.scrollWidth, place.clientWidth];
            }""",
            table,
        )
        assert scrolled <= shown, table
    tab.set_viewport_size({"width": 390, "height": 700})


def test_it_is_dark_where_the_system_is_but_not_on_paper(tab: Any) -> None:
    def look() -> tuple[int, int, bool]:
        """Brightness of page and letters, 0 to 765, and whether sliders are there."""
        colours = tab.evaluate(
            """() => ["background-color", "color"].map((key) =>
                getComputedStyle(document.body).getPropertyValue(key).match(/\\d+/g).slice(0, 3)
                    .reduce((sum, part) => sum + Number(part), 0))"""
        )
        return colours[0], colours[1], tab.is_visible("#width")

    light, dark = look(), None
    tab.emulate_media(color_scheme="dark")
    dark = look()
    tab.emulate_media(color_scheme="dark", media="print")
    paper = look()
    tab.emulate_media(color_scheme="light", media="screen")
    assert light[0] > 700 > 200 > light[1]
    assert dark[0] < 200 < 500 < dark[1]
    assert paper[:2] == light[:2]
    assert (light[2], dark[2], paper[2]) == (True, True, False)
    assert tab.is_visible("#downloads")


def test_paper_has_all_of_it(tab: Any) -> None:
    """Nothing is cut at the edge of a page of A4."""
    assert tab.pdf(format="A4").startswith(b"%PDF")
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 718, "height": 1000})  # A4 between margins of 1 cm
    try:
        assert tab.evaluate("document.documentElement.scrollWidth") <= 718
        assert not tab.is_visible("#downloads")
    finally:
        tab.emulate_media(media="screen")
        tab.set_viewport_size({"width": 390, "height": 700})


def test_the_accessibility_checker_finds_nothing(tab: Any) -> None:
    pytest.importorskip("axe_playwright_python")
    from scripts.pictures.accessibility import violations

    assert violations(tab) == []


def test_the_console_is_clean_and_nothing_was_loaded(
    session: tuple[Any, list[str], list[str]],
) -> None:
    """After all of the above."""
    _, messages, asked = session
    assert messages == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
