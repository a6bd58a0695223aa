"""``esml bands`` and ``esml dos``: files, pictures, and one sentence for what cannot be done."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import ase.io
import h5py
import numpy as np
import pytest
from ase.build import bulk, molecule
from crystal_models import alloy, electrolyte_model, li2s, made_up
from surrogate_cases import read_one
from typer.testing import CliRunner, Result

import esml
from esml.commands.app import app
from esml.plots.crystals import bands_figure
from esml.predict.crystals import CrystalSurrogate
from esml.predict.model_files import solid_model


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a model and a crystal."""
    esml.save_model(made_up(), tmp_path / "model.safetensors")
    ase.io.write(tmp_path / "alloy.cif", alloy())
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_bands_are_written_and_drawn(files: Path) -> None:
    result = run(
        *("bands", files / "alloy.cif", "--model", files / "model.safetensors"),
        *("--path", "GXM", "--n-points", "9", "--k-points", "2,2,2"),
        *("--csv", files / "b.csv", "--hdf5", files / "b.h5", "--plot", files / "b.png"),
    )
    assert result.exit_code == 0, result.output
    assert "path: GXM, 9 points" in result.stdout
    assert "trained: states up to 3 eV above the Fermi level" in result.stdout
    with open(files / "b.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["point"] for row in rows if row["point"]] == ["G", "X", "M"]
    assert (files / "b.png").stat().st_size > 5000
    with h5py.File(files / "b.h5") as file:
        energies = np.array([[float(r[f"band{n}_eV"]) for n in (1, 36)] for r in rows])
        np.testing.assert_allclose(file["bands/energies"][:, [0, 35]], energies, rtol=1e-6)
        assert file["dos/projected"].shape == (4, 3, 261)
        assert file["d_band_centres"].attrs["unit"] == "eV"


def test_both_points_at_a_break_keep_their_names(files: Path) -> None:
    result = run(
        *("bands", files / "alloy.cif", "--model", files / "model.safetensors"),
        *("--path", "GX,MR", "--n-points", "8", "--k-points", "2,2,2"),
        *("--csv", files / "b.csv", "--hdf5", files / "b.h5"),
    )
    assert result.exit_code == 0, result.output
    with open(files / "b.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    named = {row["point"]: [float(row[k]) for k in ("k1", "k2", "k3")] for row in rows}
    assert named["X"] == [0.0, 0.5, 0.0]
    assert named["M"] == [0.5, 0.5, 0.0]
    with h5py.File(files / "b.h5") as file:
        bands = file["bands"]
        stored = dict(zip(bands.attrs["labels"], bands.attrs["rows"], strict=True))
        assert list(stored) == ["G", "X", "M", "R"]
        np.testing.assert_array_equal(bands["k_points"][stored["M"]], [0.5, 0.5, 0.0])
        assert bands["distances"][stored["X"]] == bands["distances"][stored["M"]]
    crystal = made_up().predict(alloy(), (2, 2, 2))
    energies = np.linspace(-5.0, 5.0, 11)
    found = crystal.bands("GX,MR", 8)
    figure = bands_figure(crystal, found, energies, crystal.projected_dos(energies))
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["Γ", "X|M", "R"]


def test_folded_bands_are_told(files: Path) -> None:
    for name, cubic in (("cube.cif", True), ("primitive.cif", False)):
        ase.io.write(files / name, bulk("Cu", "fcc", a=3.6, cubic=cubic))
        model = ("--model", files / "model.safetensors", "--n-points", "2", "--path", "Γ-X")
        result = run("bands", files / name, "--k-points", "2,2,2", *model)
        assert result.exit_code == 0, result.output
        assert ("the cell is not primitive" in result.stderr) == cubic


def test_densities_of_states_are_written_and_drawn(files: Path) -> None:
    result = run(
        *("dos", files / "alloy.cif", "--model", files / "model.safetensors"),
        *("--k-points", "2,2,2", "--csv", files / "d.csv", "--sites", files / "s.csv"),
        *("--bonds", files / "bonds.csv", "--plot", files / "d.svg", "--hdf5", files / "d.h5"),
    )
    assert result.exit_code == 0, result.output
    assert "d-band centre" in result.stdout
    crystal = made_up().predict(read_one(files / "alloy.cif"), (2, 2, 2))
    with open(files / "s.csv", newline="") as file:
        sites = list(csv.DictReader(file))
    found = [float(row["d_band_centre_eV"]) for row in sites]
    np.testing.assert_allclose(found, crystal.d_band_centres, atol=1e-6)
    with open(files / "d.csv", newline="") as file:
        first = next(csv.DictReader(file))
    assert list(first)[:3] == ["energy_eV", "total", "Ni_s"]
    with open(files / "bonds.csv", newline="") as file:
        bonds = list(csv.DictReader(file))
    assert len(bonds) == 4 * 12 / 2
    assert (files / "d.svg").read_text().count("<path") > 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dos", "none.cif"), "no file 'none.cif'"),
        (("dos", "water.xyz"), "no cell periodic in three directions"),
        (("dos", "text.cif"), "could not be read"),
        (("dos", "alloy.cif", "--k-points", "4,4"), "expected three whole numbers"),
        (("dos", "alloy.cif", "--width", "0"), "--width is 0 eV"),
        (("dos", "alloy.cif", "--model", "default"), "is a model of molecules"),
        (("dos", "alloy.cif", "--device", "nowhere"), "device 'nowhere' cannot be used"),
        (("bands", "alloy.cif", "--k-points", "4,4,4", "--path", "GQ"), "is not a path of"),
        (("bands", "alloy.cif", "--plot", "b.doc"), "expected one of .png"),
        (("spectrum", "water.xyz", "--model", "solids"), "is a model of crystals"),
        (("spectrum", "alloy.cif", "--model", "default"), "take esml bands or esml dos if it is"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(files)
    ase.io.write("water.xyz", molecule("H2O"))
    Path("text.cif").write_text("not a crystal")
    model = () if "--model" in arguments else ("--model", "model.safetensors")
    result = run(*arguments, *model)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_the_structure_of_a_file_is_chosen(files: Path) -> None:
    """Without --index the last one, which is said; an index beyond the file is named."""
    ase.io.write(files / "two.xyz", [alloy(), alloy(symbols="CuCuCuCu")], format="extxyz")
    model = ("--model", files / "model.safetensors", "--k-points", "2,2,2")
    last = run("dos", files / "two.xyz", *model)
    assert "holds 2 structures; this is the last" in last.stderr
    assert last.stdout.startswith("Cu4")
    first = run("dos", files / "two.xyz", "--index", "0", *model)
    assert "this is the last" not in first.stderr
    assert "Ni" in first.stdout.partition(":")[0]
    beyond = run("dos", files / "two.xyz", "--index", "5", *model)
    assert beyond.exit_code == 2
    assert "no structure 5" in beyond.stderr
    assert "from -2 to 1" in beyond.stderr


def test_a_map_has_every_atom_of_a_file(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be predicted is named and left out; chemiscope reads the rest. One model does."""
    chemiscope = pytest.importorskip("chemiscope")
    other = alloy(1)
    strange = alloy(2)
    strange.symbols[0] = "Au"
    ase.io.write(files / "set.xyz", [alloy(), strange, other], format="extxyz")
    path = files / "map.json.gz"
    loaded = []

    def counted(name: str, *others: Any) -> CrystalSurrogate:
        loaded.append(name)
        return solid_model(name, *others)

    monkeypatch.setattr("esml.predict.model_files.solid_model", counted)
    result = run(
        *("dos", files / "set.xyz", "--model", files / "model.safetensors"),
        *("--k-points", "2,2,2", "--map", path),
    )
    assert result.exit_code == 0, result.output
    assert "structure 1 is not on the map: Au (atom 0)" in result.output
    assert "map of 2 crystals" in result.output
    assert loaded == [str(files / "model.safetensors")]
    document = json.loads(chemiscope.show_input(str(path)).value)
    assert "gap" not in document["properties"]  # of metals
    centres = document["properties"]["d-band centre"]["values"]
    expected = [made_up().predict(atoms, (2, 2, 2)).d_band_centres for atoms in (alloy(), other)]
    np.testing.assert_allclose(centres, np.concatenate(expected), atol=1e-4)


def test_an_electrolyte_has_a_gap_and_its_edges(tmp_path: Path) -> None:
    """The band edges are told, no d bands; energies count from the valence band top."""
    esml.save_model(electrolyte_model(), tmp_path / "ions.safetensors")
    ase.io.write(tmp_path / "li2s.xyz", li2s(), format="extxyz")
    result = run(
        *("dos", tmp_path / "li2s.xyz", "--model", tmp_path / "ions.safetensors"),
        *("--k-points", "2,2,2", "--hdf5", tmp_path / "all.h5", "--plot", tmp_path / "d.png"),
    )
    assert result.exit_code == 0, result.output
    crystal = electrolyte_model().predict(li2s(), (2, 2, 2))
    assert f"gap {crystal.gap:.2f} eV" in result.stdout
    assert "valence band top: S_p" in result.stdout
    assert "d-band centre" not in result.stdout
    with h5py.File(tmp_path / "all.h5") as file:
        assert file.attrs["zero"] == "valence band top"
        assert file.attrs["gap_eV"] == pytest.approx(crystal.gap)
    top, bottom = crystal.edges
    assert top.energy == pytest.approx(0.0, abs=1e-9)
    assert bottom.energy == pytest.approx(crystal.gap, abs=1e-9)
    assert sum(top.shares.values()) == pytest.approx(1.0, abs=0.05)
    assert np.isnan(crystal.charges).all()


@pytest.mark.parametrize("stretch", [1.0, 1.2])
def test_only_a_gap_in_domain_is_compared_with_experiment(tmp_path: Path, stretch: float) -> None:
    esml.save_model(electrolyte_model(), tmp_path / "ions.safetensors")
    atoms = li2s()
    atoms.set_cell(stretch * atoms.cell, scale_atoms=True)
    ase.io.write(tmp_path / "li2s.xyz", atoms, format="extxyz")
    result = run("dos", tmp_path / "li2s.xyz", "--model", tmp_path / "ions.safetensors")
    found = electrolyte_model().predict(atoms)
    assert found.in_domain == (stretch == 1.0)
    assert (" eV (PBE: too small)" in result.stdout) == found.in_domain


def test_the_model_follows_from_the_elements(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "li2s.xyz", li2s(), format="extxyz")
    result = run("bands", tmp_path / "li2s.xyz", "--k-points", "2,2,2", "--n-points", "4")
    assert result.exit_code == 0, result.output
    assert "valence band top" in result.stdout
    assert "trained: the valence bands and the lowest conduction bands" in result.stdout
