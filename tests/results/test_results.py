"""One shape of an answer: in memory, in files, on screen, in a notebook and in pandas."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import molecule

import esml
from esml.analysis.characters import MissingWavefunctionsError
from esml.export import open_writer, read_results
from esml.export.tables import row
from esml.results import PROPERTIES, Result, States
from esml.results.states import screen_table
from esml.typing import as_multiplicity
from esml.units import HC


@pytest.fixture(scope="module")
def result() -> Result:
    return esml.load_model().predict(molecule("H2CO"), n_states=4)


def written(result: Result, path: Path) -> Path:
    with open_writer(path, len(result.singlets), extras=result.singlets.extras) as writer:
        writer.add(result)
    return path


def test_one_report_analyses_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page, picture and tables of one molecule: one analysis of its bonds and of its symmetry."""
    pytest.importorskip("matplotlib")
    from typer.testing import CliRunner

    from esml.analysis import characters
    from esml.commands.app import app
    from esml.results import result as module

    made: Counter[str] = Counter()

    def count(name: str) -> None:
        function = getattr(module, name)

        def counted(*arguments: Any) -> Any:
            made[name] += 1
            return function(*arguments)

        for place in (module, characters):
            monkeypatch.setattr(place, name, counted)

    count("analyze")
    count("point_group")
    from ase.io import write

    write(tmp_path / "a.xyz", molecule("H2CO"))
    page, picture = tmp_path / "page.html", tmp_path / "picture.png"
    files = ["--report", page, "--plot", picture, "--molden", tmp_path / "a.molden"]
    command = ["spectrum", *map(str, [tmp_path / "a.xyz", *files])]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert page.exists()
    assert picture.exists()
    assert made == {"analyze": 1, "point_group": 1}


def test_what_was_worked_out_is_kept(result: Result) -> None:
    assert result.bonding is result.bonding
    assert result.point_group.name == "C2v"
    assert result.characters()[0] is result.characters("singlets")[0]
    assert result.characters("triplets")[0] is not result.characters()[0]
    assert result.spectrum() is result.spectrum(fwhm=0.3)
    assert result.spectrum(fwhm=0.2).fwhm == 0.2
    # A list that a user changes is not the one that is kept.
    result.characters().clear()
    assert len(result.characters()) == 4
    absorption = result.spectrum().absorption
    with pytest.raises(ValueError, match="read-only"):
        absorption /= 2.0


def test_fragments_of_ones_own_are_not_kept(result: Result) -> None:
    parts = [[0], [1, 2, 3]]
    assert len(result.characters(fragments=parts)[0].fragments) == 2
    assert result.characters()[0].fragments == tuple(f.name for f in result.bonding.fragments)


def test_states_are_cut_like_arrays(result: Result) -> None:
    singlets = result.singlets
    for some, places in (
        (singlets[1:3], [1, 2]),
        (singlets[::-1], [3, 2, 1, 0]),
        (singlets[-1], [3]),
        (singlets[[2, 0]], [2, 0]),
        (singlets[singlets.energies < singlets.energies[2]], [0, 1]),
    ):
        assert isinstance(some, States)
        assert some.multiplicity == "singlet"
        assert some.X is not None
        assert singlets.X is not None
        for name in PROPERTIES:
            np.testing.assert_array_equal(getattr(some, name), getattr(singlets, name)[places])
        np.testing.assert_array_equal(some.X, singlets.X[places])
    for k, state in enumerate(singlets):
        assert state == singlets[k]
    assert [float(state.energies[0]) for state in singlets] == singlets.energies.tolist()
    with pytest.raises(IndexError, match="state 4 of 4"):
        singlets[4]


def test_a_result_with_wave_functions_differs_from_one_without(
    result: Result, tmp_path: Path
) -> None:
    path = written(result, tmp_path / "stored.h5")
    (stored,) = read_results(path)
    (light,) = esml.load_model().predict_many([molecule("H2CO")], n_states=4)
    assert isinstance(light, Result)
    for other in (stored, light):
        assert (result == other) is False
        assert (other == result) is False
        assert (result.singlets == other.singlets) is False
        assert other not in [result]
        assert other in [result, other]
    assert stored == read_results(path)[0]


def test_equality_and_pickling(result: Result) -> None:
    other = esml.load_model().predict(molecule("H2CO"), n_states=4)
    assert other == result
    result.characters()
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert again.characters()[0].label == result.characters()[0].label
    assert len(pickle.dumps(result)) == len(pickle.dumps(other))
    changed = result.singlets.energies + 1e-12
    assert replace(result, singlets=replace(result.singlets, energies=changed)) != result
    assert replace(result, name="another") != result
    unknown = replace(result.singlets, uncertainties=np.full(4, np.nan))
    assert unknown == replace(result.singlets, uncertainties=np.full(4, np.nan))
    assert unknown != result.singlets
    assert result != "a result"


def test_a_line_says_what_it_is(result: Result) -> None:
    low, high = result.singlets.energies[[0, -1]]
    assert repr(result.singlets) == f"States(4 singlets, {low:.2f} to {high:.2f} eV)"
    lowest = result.triplets.energies[0]
    assert repr(result.triplets[:1]) == f"States(1 triplet, {lowest:.2f} eV)"
    assert repr(result.singlets[:0]) == "States(0 singlets)"
    text = repr(result)
    assert text.startswith(f"Result(CH2O, gap {result.gap:.2f} eV, 4 singlets from {low:.2f} eV, ")
    assert len(text) < 120
    assert "outside the training domain" in repr(replace(result, in_domain=False))
    one = replace(result, singlets=result.singlets[:1], triplets=result.triplets[:2])
    assert f", 1 singlet from {low:.2f} eV, 2 triplets from " in repr(one)


def test_a_notebook_shows_a_table(result: Result) -> None:
    page = replace(result, name="<b>name</b>")._repr_html_()
    assert "&lt;b&gt;name&lt;/b&gt;" in page
    for k, label in enumerate(result.singlets.labels):
        assert f"<td>{label}</td><td>{result.singlets.energies[k]:.2f}</td>" in page
    assert result.named_characters()[0].description in page
    assert "what it is" not in result.singlets._repr_html_()


def test_pandas_takes_a_row_for_each_state(result: Result, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    table = result.to_dataframe()
    assert list(table.index) == ["S1", "S2", "S3", "S4", "T1", "T2", "T3", "T4"]
    assert list(table["energy_eV"][:4]) == list(result.singlets.energies)
    assert list(table["f"][:4]) == list(result.singlets.oscillator_strengths)
    assert (table["f"][4:] == 0.0).all()
    assert table["wavelength_nm"]["T1"] == pytest.approx(HC / table["energy_eV"]["T1"])
    assert table["character"]["S1"] == result.named_characters()[0].description
    (back,) = read_results(written(result, tmp_path / "out.h5"))
    pandas_back = back.to_dataframe()
    assert "character" not in pandas_back
    assert pandas_back.equals(table.drop(columns="character"))


def test_pandas_names_groups_as_the_screen_does() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("rdkit")
    dye = esml.predict("Nc1ccc(cc1)[N+](=O)[O-]", 4)
    assert isinstance(dye, Result)
    described = dye.to_dataframe()["character"]
    assert list(described[:4]) == dye.descriptions()["singlet"]
    assert described.str.contains("nitro").any()


def test_what_is_read_offers_what_was_written(result: Result, tmp_path: Path) -> None:
    (back,) = read_results(written(result, tmp_path / "out.h5"))
    assert isinstance(back, Result)
    for states in (back.singlets, back.triplets):
        assert states == replace(result.states(states.multiplicity), X=None, Y=None)
    assert (back.homo, back.lumo, back.gap) == (result.homo, result.lumo, result.gap)
    assert back.point_group.name == result.point_group.name
    np.testing.assert_array_equal(back.spectrum().absorption, result.spectrum().absorption)
    assert repr(back) == repr(result)
    with pytest.raises(MissingWavefunctionsError, match="no wave functions"):
        back.characters()


def test_the_charge_of_an_ion_comes_back(tmp_path: Path) -> None:
    ion = molecule("CH4")
    ion.symbols[0] = "N"
    ion.info["charge"] = 1
    result = esml.load_model().predict(ion, n_states=1)
    (back,) = read_results(written(result, tmp_path / "out.h5"))
    assert back.atoms.info["charge"] == 1


def with_extras(result: Result) -> Result:
    """``result`` with numbers in all properties that are made only where asked for."""
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {
        name: rng.uniform(0.1, 9.0, (len(result.singlets), *how.shape))
        for name, how in PROPERTIES.items()
        if how.optional
    }
    assert set(made) >= {"two_photon_strengths", "two_photon_cross_sections"}
    return replace(result, singlets=replace(result.singlets, **made))


def test_what_was_not_asked_for_is_told_nowhere(result: Result, tmp_path: Path) -> None:
    assert result.singlets.extras == result.triplets.extras == []
    assert np.isnan(result.singlets.two_photon_strengths).all()
    assert (result.triplets.two_photon_strengths == 0.0).all()
    for name in ("out.json", "out.jsonl", "out.csv", "out.xyz"):
        assert "two_photon" not in written(result, tmp_path / name).read_text()
    assert "δ" not in result._repr_html_() + result.singlets._repr_html_()
    asked = with_extras(result)
    assert len(asked.singlets.extras) == 3
    assert asked.singlets[:2].extras == asked.singlets.extras
    for name in ("out.json", "out.jsonl", "out.csv", "out.xyz"):
        assert "two_photon" in written(asked, tmp_path / name).read_text()
    cell = f"<td>{asked.singlets.two_photon_strengths[0]:.1f}</td>"
    for text in (asked._repr_html_(), asked.singlets._repr_html_()):
        assert "<th>δ (a.u.)</th>" in text
        assert cell in text
    pytest.importorskip("pandas")
    assert "two_photon_au" not in result.to_dataframe()
    table = asked.to_dataframe()
    assert table.loc["S2", "two_photon_au"] == asked.singlets.two_photon_strengths[1]
    assert table.loc["T2", "two_photon_au"] == 0.0


def test_every_property_of_a_state_reaches_every_format(result: Result, tmp_path: Path) -> None:
    """So that a new field of ``States`` need be listed nowhere else."""
    result = with_extras(result)
    assert set(PROPERTIES) >= {"energies", "oscillator_strengths", "uncertainties"}
    (stored,) = read_results(written(result, tmp_path / "out.h5"))
    (entry,) = json.loads(written(result, tmp_path / "out.json").read_text())["results"]
    head, line = written(result, tmp_path / "out.csv").read_text().splitlines()
    cells = dict(zip(head.split(","), line.split(","), strict=True))
    for states in (result.singlets, result.triplets):
        for name, how in PROPERTIES.items():
            values = getattr(states, name)
            assert values.shape == (4, *how.shape)
            np.testing.assert_array_equal(getattr(stored.states(states.multiplicity), name), values)
            if not how.concerns(states.multiplicity):
                assert (values == 0.0).all()
                assert name not in entry[f"{states.multiplicity}s"]
                continue
            np.testing.assert_allclose(entry[f"{states.multiplicity}s"][name], values, atol=1e-8)
            for label, value in zip(states.labels, values, strict=True):
                if how.column:
                    cell = cells[f"{label}_{how.ending or how.column}"]
                    # Tables have eight significant digits.
                    assert float(cell) == pytest.approx(value, rel=1e-7, abs=1e-12)


def test_a_property_that_a_file_lacks_is_unknown() -> None:
    energies = np.array([3.0, 4.0])
    singlets = States.of("singlet", {"energies": energies})
    triplets = States.of("triplet", {"energies": energies})
    assert np.isnan(singlets.oscillator_strengths).all()
    assert (triplets.oscillator_strengths == 0.0).all()
    assert singlets.transition_dipoles.shape == (2, 3)


def test_multiplicities_have_two_names_and_an_old_one(result: Result) -> None:
    assert as_multiplicity("singlets") == as_multiplicity("singlet") == "singlet"
    with pytest.raises(ValueError, match="expected 'singlet' or 'triplet'"):
        result.characters("quintets")  # type: ignore[arg-type]
    old: dict[str, Any] = {"kind": "triplets"}
    with pytest.warns(DeprecationWarning, match="now called 'multiplicity'"):
        assert result.characters(**old) == result.characters("triplet")


def test_a_state_below_the_ground_state_has_no_wavelength() -> None:
    result = esml.load_model().predict(molecule("H2CO"), 2)
    below = replace(result.triplets, energies=np.array([-0.36, 4.0]))
    np.testing.assert_allclose(below.wavelengths, [np.nan, HC / 4.0])
    headings, rows = screen_table(below)
    assert [each[headings.index("λ (nm)")] for each in rows] == ["–", "310"]
    cells = row(replace(result, triplets=below))
    assert "T1_nm" not in cells
    assert np.isnan(replace(result, triplets=below).to_dataframe()["wavelength_nm"]["T1"])
    assert cells["T2_nm"] == pytest.approx(HC / 4.0)
