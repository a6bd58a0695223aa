"""The report page: complete, self-contained, safe; its data are the physics."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from surrogate_cases import read_one, vibronic

import esml
from esml.analysis.dichroism import STATEMENT
from esml.analysis.orbital_shapes import Grid, Shapes
from esml.plots.page import page, write_page
from esml.plots.page_data import frame, opening_state, orbital_pairs, shortest_shown
from esml.predict.two_photon import with_two_photon
from esml.results import Result, States
from esml.units import HC

EXAMPLES = Path(__file__).parents[2] / "examples"
EVIL = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


@cache
def result() -> Result:
    return esml.load_model().predict(read_one(EXAMPLES / "p-nitroaniline.xyz"), n_states=3)


@cache
def text() -> str:
    return page(result(), name=EVIL, notes=[EVIL], attachments={"a.molden": EVIL})


class Elements(HTMLParser):
    """Start tags with their attributes, and texts by the tag they are in."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data


@cache
def data() -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text(), re.S)
    assert found is not None
    return json.loads(found.group(1))


def vector(place: int) -> np.ndarray:
    held = data()["vectors"]
    rows = np.frombuffer(base64.b64decode(held["values"]), "<i2").reshape(-1, held["length"])
    values: np.ndarray = rows[place] * held["scales"][place]
    return values


def values(place: int, points: np.ndarray) -> np.ndarray:
    """Values of an orbital of the page at ``points`` (P, 3) of its frame, from what it holds."""
    coefficients, total, first = vector(place), np.zeros(len(points)), 0
    for atom in data()["atoms"]:
        basis = data()["basis"][atom["element"]]
        offset = (points - atom["place"]) / data()["bohr"]
        gaussians = np.exp(-np.outer(np.square(offset).sum(1), basis["exponents"]))
        total += coefficients[first] * gaussians @ basis["s"]
        first += 1
        if basis["p"]:
            total += (gaussians @ basis["p"]) * (offset @ coefficients[first : first + 3])
            first += 3
    return total


def test_texts_from_outside_are_escaped() -> None:
    elements = Elements(text())
    assert elements.texts["h1"] == EVIL
    assert [tag for tag, _ in elements.tags].count("script") == 3
    assert "img" not in [tag for tag, _ in elements.tags]
    assert not any("onerror" in attributes for _, attributes in elements.tags)


def test_nothing_is_fetched_from_a_network() -> None:
    """No address in the page itself, and a browser is told to load none."""
    tags = Elements(text()).tags
    for tag, attributes in tags:
        for key in ("src", "href"):
            target = attributes.get(key)
            assert target is None or target.startswith("data:"), (tag, target)
    (policy,) = (a["content"] for _, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_a_page_is_small() -> None:
    assert len(text().encode()) < 1_000_000


def test_every_state_is_in_the_table_with_its_character() -> None:
    rows = re.findall(r'<tr data-row="(..)"[^>]*>(.*?)</tr>', text())
    assert [label for label, _ in rows] == ["S1", "S2", "S3", "T1", "T2", "T3"]
    cells = [re.findall(r"<td>(.*?)</td>", row) for _, row in rows]
    for k, character in enumerate(result().characters()):
        assert cells[k][0] == f"{result().singlets.energies[k]:.2f}"
        assert cells[k][4] == character.label


def test_a_state_below_the_ground_state_has_no_wavelength() -> None:
    triplets = result().triplets
    below = replace(triplets, energies=np.array([-0.36, *triplets.energies[1:]]))
    shown = page(replace(result(), triplets=below))
    (row,) = re.findall(r'<tr data-row="T1"[^>]*>(.*?)</tr>', shown)
    assert re.findall(r"<td>(.*?)</td>", row)[:3][::2] == ["-0.36", "–"]
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', shown, re.S)
    assert found is not None
    states = {each["label"]: each for each in json.loads(found.group(1))["states"]}
    assert states["T1"]["nanometres"] is None
    assert states["T2"]["nanometres"] > 300


def test_two_photon_strengths_stand_beside_the_oscillator_strengths() -> None:
    """Where asked for: with the word on their accuracy, and resonant ones named."""
    assert "δ (a.u.)" not in text()
    assert "order of magnitude" not in text()
    two = with_two_photon(esml.load_model(), result())
    singlets = replace(
        two.singlets,
        energies=np.array([2.0, 4.1, 5.0]),
        oscillator_strengths=np.array([1e-4, 0.5, 0.1]),
        two_photon_strengths=np.array([2291.4, 17.26, 1e-9]),
        two_photon_cross_sections=np.array([17.04, 0.0123, 0.0]),
    )
    source = page(replace(two, singlets=singlets))
    (table,) = re.findall(r'<table id="states">.*?</table>', source, re.S)
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table)
    rows = [
        re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr data-row.*?</tr>", table)
    ]
    assert {len(row) for row in rows} == {len(heads) - 1}
    first = heads.index("δ (a.u.)") - 1
    assert heads[first + 2] == "σ (GM)"
    assert [row[first : first + 2] for row in rows] == [
        ["2290", "17"],
        ["17.3 (resonant)", "0.0123"],
        ["&lt;0.001", "&lt;0.001"],
        *(3 * [["–", "–"]]),
    ]
    assert "only their order of magnitude counts" in source
    assert "within 0.2 eV of a state that one photon reaches" in source


def test_rotatory_strengths_stand_beside_the_oscillator_strengths() -> None:
    """Where asked for: with how often their signs are right."""
    assert "cgs)</th>" not in text()
    singlets = replace(result().singlets, rotatory_strengths=np.array([12.34, -0.56, 0.0]))
    source = page(replace(result(), singlets=singlets), dichroism=True)
    (table,) = re.findall(r'<table id="states">.*?</table>', source, re.S)
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table)
    rows = [
        re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr data-row.*?</tr>", table)
    ]
    assert {len(row) for row in rows} == {len(heads) - 1}
    place = heads.index("R (10⁻⁴⁰ cgs)") - 1
    assert [row[place] for row in rows] == ["+12.3", "−0.6", "+0.0", "–", "–", "–"]
    assert STATEMENT in unescape(source)


def test_orbitals_of_the_page_are_those_of_the_model() -> None:
    """The numbers of the page give HOMO, LUMO and hole of S1 at any point, turned to its frame."""
    centre, axes = frame(result())
    points = np.random.default_rng(3).normal(scale=2.0, size=(40, 3))
    waves = result().wavefunctions()
    expected = {
        "HOMO": waves.coefficients[:, waves.n_occupied - 1],
        "LUMO": waves.coefficients[:, waves.n_occupied],
        "hole": waves.natural_orbitals(0).holes[:, 0],
    }
    places = {entry["name"]: entry["vector"] for entry in data()["orbitals"]}
    places["hole"] = data()["states"][0]["natural"]["holes"][0]
    shapes = Shapes(result().atoms)
    for name, orbital in expected.items():
        for point, found in zip(points, values(places[name], points), strict=True):
            one = Grid(centre + point @ axes, 1.0, (1, 1, 1))
            assert found == pytest.approx(shapes.values(orbital[:, None], one).item(), abs=2e-4)


def test_the_transition_density_of_the_page_has_the_dipole_of_the_state() -> None:
    """Σ a_k h_k e_k, integrated with r, is μ/√2 where the functions of space are good enough.

    The signs of the orbitals are arbitrary, those of the amplitudes make up for it: with wrong ones
    the pairs of a state of two pairs would cancel.
    """
    waves = result().wavefunctions()
    for k, state in enumerate(data()["states"][:3]):
        natural = state["natural"]
        exact = waves.natural_orbitals(k)
        built = sum(
            a * np.outer(exact.holes[:, p], exact.electrons[:, p])
            for p, a in enumerate(natural["amplitudes"])
        )
        missing = np.linalg.norm(built - waves.transition_density(k)) ** 2
        assert missing == pytest.approx(1.0 - sum(natural["weights"]), abs=1e-3)


def test_weights_of_orbital_pairs_are_squares_of_amplitudes() -> None:
    """A state that one pair makes has weight 1; a mixture of two has their shares."""
    waves = result().wavefunctions()
    one = np.zeros_like(waves.X[:1])
    one[0, -1, 0] = 2.0
    pure = replace(waves, X=one, Y=np.zeros_like(one))
    assert orbital_pairs(pure, 0) == [("HOMO → LUMO", 1.0)]
    one[0, -2, 1] = 1.0
    mixed = replace(waves, X=one, Y=np.zeros_like(one))
    pairs, weights = zip(*orbital_pairs(mixed, 0), strict=True)
    assert pairs == ("HOMO → LUMO", "HOMO−1 → LUMO+1")
    assert weights == pytest.approx((0.8, 0.2))


@pytest.mark.parametrize(
    ("nanometres", "strengths", "expected"),
    [
        ([450, 320, 171], [0.1, 0.9, 2.0], 0),  # a colour first
        ([450, 320, 171], [0.001, 0.9, 2.0], 1),  # what no eye sees is no colour
        ([260, 171, 160], [0.02, 1.2, 2.0], 0),  # no spectrometer looks at 171 nm
        ([330, 290, 185], [0.001, 0.5, 0.7], 1),  # pictures begin at 200 nm
        ([290, 185], [0.001, 0.7], 1),  # all that is bright is below
        ([170, 160], [0.0, 0.5], 0),
        ([], [], None),
    ],
)
def test_a_page_opens_on_the_brightest_state_of_the_window(
    nanometres: list[float], strengths: list[float], expected: int | None
) -> None:
    energies = np.array([HC / x for x in nanometres])
    states = States.of(
        "singlet", {"energies": energies, "oscillator_strengths": np.array(strengths)}
    )
    assert opening_state(states) == expected


def test_the_spectrum_shows_the_state_it_opens_on() -> None:
    for nanometres, expected in (([330, 290], 200.0), ([190, 185], 171.0), ([150], 135.0)):
        energies = np.array([HC / x for x in nanometres])
        strengths = np.full(len(energies), 0.5)
        states = States.of("singlet", {"energies": energies, "oscillator_strengths": strengths})
        assert shortest_shown(states) == pytest.approx(expected)


def test_a_vibronic_page_has_the_maximum_and_the_colour_of_the_bands() -> None:
    """Those of the vertical transitions of a yellow molecule are others."""
    singlets = replace(result().singlets, energies=result().singlets.energies - 1.3)
    yellow = replace(result(), singlets=singlets)
    curve = vibronic(yellow)
    shown = page(yellow, fwhm=curve.fwhm, vibronic=curve)
    vertical = yellow.spectrum(fwhm=curve.fwhm)
    for each, there in ((curve, True), (vertical, False)):
        assert (f"<dd>{each.absorption_max_nm:.0f} nm</dd>" in shown) == there
        assert (f"background:{each.colour().hex}" in shown) == there


def test_numbers_are_rounded_once() -> None:
    """So that a script that shows two digits shows those of the heading."""
    shown = {orbital["name"]: orbital["energy"] for orbital in data()["orbitals"]}
    shown |= {level["name"] + " in the diagram": level["energy"] for level in data()["levels"]}
    for name in ("LUMO", "LUMO in the diagram"):
        assert shown[name] == pytest.approx(result().lumo, abs=1e-6)
    for k, state in enumerate(data()["states"][:3]):
        assert state["energy"] == pytest.approx(result().singlets.energies[k], abs=1e-6)


def test_the_page_says_what_the_molecule_is_in() -> None:
    water = esml.load_model().predict(result().atoms, n_states=1, solvent="water")
    assert "Valence states in water, for closed shells" in page(water)
    assert "Valence states in vacuum" in text()
    assert "vacuum" not in Elements(page(water)).texts["p"]


def test_shares_of_fragments_sum_to_one() -> None:
    for state in data()["states"]:
        assert sum(state["hole"]) == pytest.approx(1.0, abs=5e-3)
        assert sum(state["electron"]) == pytest.approx(1.0, abs=5e-3)


def test_the_geometry_survives_the_turn_to_the_frame() -> None:
    atoms = np.array([atom["place"] for atom in data()["atoms"]])
    found = np.linalg.norm(atoms[:, None] - atoms, axis=2)
    np.testing.assert_allclose(found, result().atoms.get_all_distances(), atol=1e-3)
    # Right-handed: no mirror image of a chiral molecule.
    assert np.linalg.det(frame(result())[1]) == pytest.approx(1.0)


def test_attached_files_come_back_and_large_ones_stay_out() -> None:
    assert gzip.decompress(base64.b64decode(data()["files"]["a.molden"])).decode() == EVIL
    noise = np.random.default_rng(0).bytes(1_000_000).hex()
    assert "noise.txt" not in page(result(), attachments={"noise.txt": noise})


def test_a_warning_is_not_overlooked(tmp_path: Path) -> None:
    warned = replace(result(), warnings=("bond O–O <unseen>",), in_domain=False)
    write_page(warned, tmp_path / "page.html", fwhm=0.2)
    found = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<div class="warning" role="alert">' in found
    assert "bond O–O &lt;unseen&gt;" in found
    assert "unlike the training data" in found
    assert 'role="alert"' not in text()


def test_atoms_of_the_formula_have_the_numbers_of_the_input() -> None:
    pytest.importorskip("rdkit")
    graph = result().graph
    assert [a.GetSymbol() for a in graph.GetAtoms()] == list(result().atoms.symbols)
    assert [a.GetIntProp("number") for a in graph.GetAtoms()] == list(range(1, 17))
    assert "<svg" in text()
    assert "currentColor" in text()


def test_a_symmetric_molecule_makes_a_page(tmp_path: Path) -> None:
    benzene = esml.load_model().predict(read_one(EXAMPLES / "benzene.xyz"), n_states=1)
    path = tmp_path / "one.html"
    write_page(benzene, path)
    assert "C<sub>6</sub>H<sub>6</sub>" in path.read_text(encoding="utf-8")
