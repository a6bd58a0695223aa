"""Every exported format, read back by a tool that is not ours."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import ase.build
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.io.cube import read_cube
from surrogate_cases import read_all, read_one

import esml
from esml.analysis.orbital_shapes import STATEMENT, Shapes, isovalue, surface
from esml.export import (
    FORMATS,
    ExportError,
    format_of,
    open_writer,
    part_path,
    write_cubes,
    write_molden,
    write_natural_orbitals,
)
from esml.io.surroundings import find_solvent
from esml.results import Failure, Result
from esml.units import BOHR, DEBYE, HARTREE

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("plain", 'a "quoted", name', "C/C=C\\C=O <b>α</b>")
STATES = 3


@cache
def predictions() -> tuple[Result, ...]:
    molecules = [ase.build.molecule(name) for name in ("H2CO", "C2H4", "C6H6")]
    found = esml.load_model().predict_many(molecules, n_states=STATES)
    return tuple(result for result in found if isinstance(result, Result))


@cache
def nitroaniline() -> Result:
    return esml.load_model().predict(read_one(EXAMPLES / "p-nitroaniline.xyz"), n_states=STATES)


def export(path: Path, **options: Any) -> Path:
    with open_writer(path, STATES, model="a model", **options) as writer:
        for k, (result, name) in enumerate(zip(predictions(), NAMES, strict=True)):
            writer.add(replace(result, name=name, source="all.xyz", index=k))
        writer.add(Failure("broken", "two atoms coincide", source="all.xyz", index=3))
        assert writer.n_results == 3
        assert writer.n_failures == 1
    assert not part_path(path).exists()
    return path


def check_table(table: Any) -> None:
    """A pandas table of ``predictions`` and one failure."""
    assert list(table["name"]) == [*NAMES, "broken"]
    assert list(table["formula"][:3]) == ["CH2O", "C2H4", "C6H6"]
    assert table["error"][3] == "two atoms coincide"
    assert table["error"][:3].isna().all()
    for k, result in enumerate(predictions()):
        assert table["gap_eV"][k] == pytest.approx(result.gap, rel=1e-6)
        for state in range(STATES):
            label = f"S{state + 1}"
            singlets = result.singlets
            assert table[f"{label}_eV"][k] == pytest.approx(singlets.energies[state], rel=1e-6)
            assert table[f"{label}_f"][k] == pytest.approx(
                singlets.oscillator_strengths[state], rel=1e-6, abs=1e-9
            )
            assert table[f"T{state + 1}_eV"][k] == pytest.approx(
                result.triplets.energies[state], rel=1e-6
            )


def test_pandas_reads_csv(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    check_table(pandas.read_csv(export(tmp_path / "out.csv")))


def test_pandas_reads_parquet(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = export(tmp_path / "out.parquet")
    check_table(pandas.read_parquet(path))
    assert parquet.read_schema(path).metadata[b"model"] == b"a model"


def test_json_holds_everything(tmp_path: Path) -> None:
    found = json.loads(export(tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["model"] == "a model"
    assert [entry["name"] for entry in found["results"]] == list(NAMES)
    assert found["failures"][0]["reason"] == "two atoms coincide"
    for entry, result in zip(found["results"], predictions(), strict=True):
        np.testing.assert_allclose(entry["positions"], result.atoms.positions, atol=1e-7)
        np.testing.assert_allclose(entry["charges"], result.charges, atol=1e-7)
        np.testing.assert_allclose(entry["orbital_energies"], result.orbital_energies, atol=1e-7)
        np.testing.assert_allclose(
            entry["singlets"]["transition_dipoles"], result.singlets.transition_dipoles, atol=1e-7
        )


def test_pandas_reads_json_lines(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_json(export(tmp_path / "out.jsonl"), lines=True)
    assert list(table["name"]) == [*NAMES, "broken"]
    assert table["reason"][3] == "two atoms coincide"


def test_json_has_null_for_what_is_unknown(tmp_path: Path) -> None:
    (result,) = predictions()[:1]
    result.singlets.uncertainties[:] = np.nan
    path = tmp_path / "out.json"
    with open_writer(path, STATES) as writer:
        writer.add(result)
    predictions.cache_clear()
    assert "NaN" not in path.read_text()
    assert json.loads(path.read_text())["results"][0]["singlets"]["uncertainties"] == [None] * 3


def test_ase_reads_extended_xyz(tmp_path: Path) -> None:
    frames = read_all(export(tmp_path / "out.xyz"))
    assert isinstance(frames, list)
    assert len(frames) == 3
    for atoms, name, result in zip(frames, NAMES, predictions(), strict=True):
        assert atoms.info["name"] == name
        assert atoms.info["gap_eV"] == pytest.approx(result.gap)
        np.testing.assert_allclose(atoms.info["S_eV"], result.singlets.energies, atol=1e-6)
        np.testing.assert_allclose(atoms.info["T_eV"], result.triplets.energies, atol=1e-6)
        np.testing.assert_allclose(atoms.get_charges(), result.charges, atol=1e-6)
        np.testing.assert_allclose(
            atoms.get_dipole_moment(), result.dipole / DEBYE * BOHR, atol=1e-6
        )


def test_h5dump_reads_hdf5(tmp_path: Path) -> None:
    path = export(tmp_path / "out.h5")
    if shutil.which("h5dump") is None:
        # Debian's hdf5-tools; where they are missing, another reader that is not h5py's writer.
        tables = pytest.importorskip("tables")
        with tables.open_file(path) as file:
            energies = file.root.singlets.energies[:]
            unit = file.root.singlets.energies.attrs["unit"]
    else:
        command = ["h5dump", "-d", "/singlets/energies", "-m", "%.12g", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        data = text[text.index("DATA {") : text.index("ATTRIBUTE")]
        energies = np.array(re.findall(r"\d+\.\d+", data), dtype=float)
        unit = "eV" if '"eV"' in text else ""
    assert unit == "eV"
    expected = np.concatenate([result.singlets.energies for result in predictions()])
    np.testing.assert_allclose(energies, expected, atol=1e-8)


@pytest.mark.parametrize("name", ["map.chemiscope.json", "map.chemiscope.json.gz"])
def test_chemiscope_takes_its_file(tmp_path: Path, name: str) -> None:
    chemiscope = pytest.importorskip("chemiscope")
    path = export(tmp_path / name)
    text = gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()
    found = json.loads(text)
    # Its own reader, and its own checks of what a property may be.
    assert json.loads(chemiscope.show_input(str(path)).value)["properties"].keys() == set(
        found["properties"]
    )
    assert len(found["structures"]) == 3
    assert found["properties"]["name"]["values"] == list(NAMES)
    expected = [result.singlets.energies[0] for result in predictions()]
    np.testing.assert_allclose(found["properties"]["S1"]["values"], expected, atol=1e-5)
    again = chemiscope.create_input(
        structures=[result.atoms for result in predictions()],
        properties={
            key: value for key, value in found["properties"].items() if "parameters" not in value
        },
        settings=found["settings"],
    )
    assert again["properties"]["gap"] == found["properties"]["gap"]


def test_a_map_says_what_is_around_each_molecule(tmp_path: Path) -> None:
    pytest.importorskip("chemiscope")
    path = tmp_path / "map.chemiscope.json"
    alone = predictions()[0]
    charges = esml.PointCharges([0.5], [[0.0, 0.0, 9.0]])
    with open_writer(path, STATES) as writer:
        writer.add(alone)
        writer.add(replace(alone, solvent=find_solvent("ethanol")))
        writer.add(replace(alone, point_charges=charges))
    found = json.loads(path.read_text())["properties"]["surroundings"]["values"]
    assert found == ["in vacuum", "in ethanol", "among 1 point charges, +0.50 e in total"]


def test_formats_follow_the_name_or_the_option(tmp_path: Path) -> None:
    assert format_of("a/b.H5") == "hdf5"
    assert format_of("x.chemiscope.json") == "chemiscope"
    assert format_of("x.json") == "json"
    for name in ("x.txt", "x", ""):
        with pytest.raises(ExportError, match=r"\.parquet"):
            format_of(name)
    assert export(tmp_path / "table", format="csv").read_text().startswith("name,source")
    with pytest.raises(ExportError, match="no format 'doc'"):
        open_writer(tmp_path / "x", STATES, format="doc")


@pytest.mark.parametrize("format_", [f for f in FORMATS if f != "chemiscope"])
def test_an_interrupted_run_leaves_the_part_file_and_no_other(tmp_path: Path, format_: str) -> None:
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / "out"
    result = predictions()[0]
    with pytest.raises(KeyboardInterrupt), open_writer(path, STATES, format=format_) as writer:
        writer.add(result)
        raise KeyboardInterrupt
    assert not path.exists()
    assert part_path(path).stat().st_size > 0


@pytest.mark.parametrize("format_", [f for f in FORMATS if f != "chemiscope"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, format_: str) -> None:
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    with pytest.raises(ExportError, match="nowhere"):
        open_writer(tmp_path / "nowhere" / "out", STATES, format=format_)


# Orbitals


def test_pyscf_reads_molden_orbitals_as_orthonormal(tmp_path: Path) -> None:
    molden = pytest.importorskip("pyscf.tools.molden")
    result = nitroaniline()
    path = tmp_path / "orbitals.molden"
    write_molden(result, path)
    assert STATEMENT in path.read_text()
    mol, energies, coefficients, occupations, labels, _ = molden.load(str(path))
    overlap = mol.intor("int1e_ovlp")
    identity = coefficients.T @ overlap @ coefficients
    np.testing.assert_allclose(identity, np.eye(len(identity)), atol=1e-6)
    np.testing.assert_allclose(energies * HARTREE, result.orbital_energies, atol=1e-6)
    assert occupations.sum() == pytest.approx(2 * result.n_occupied)
    np.testing.assert_allclose(mol.atom_coords() * BOHR, result.atoms.positions, atol=1e-6)
    # Populations after Löwdin are the model's own charges.
    values, vectors = np.linalg.eigh(overlap)
    root = (vectors * np.sqrt(values)) @ vectors.T
    populations = occupations @ np.square(root @ coefficients).T
    owner = [label[0] for label in mol.ao_labels(fmt=None)]
    charges = np.array([{1: 1, 6: 4, 7: 5, 8: 6}[z] for z in result.atoms.numbers], dtype=float)
    np.subtract.at(charges, owner, populations)
    np.testing.assert_allclose(charges, result.charges, atol=1e-5)
    assert len(labels) == len(energies)


@pytest.mark.parametrize(
    ("solvent", "said"),
    [
        (find_solvent("ethanol"), "of C6H6N2O2 in ethanol"),
        (esml.Solvent(24.3, 1.36), "of C6H6N2O2 in a solvent of epsilon 24.3, n 1.36"),
        (None, "of C6H6N2O2 in vacuum"),
    ],
)
def test_titles_of_orbitals_say_the_solvent(
    tmp_path: Path, solvent: esml.Solvent | None, said: str
) -> None:
    result = replace(nitroaniline(), solvent=solvent)
    write_molden(result, tmp_path / "a.molden")
    write_natural_orbitals(result, 0, tmp_path / "b.molden")
    for name in ("a.molden", "b.molden"):
        title = (tmp_path / name).read_text(encoding="utf-8").splitlines()[2]
        assert title.replace("ε", "epsilon").endswith(said)
    for path in write_cubes(result, tmp_path, states=1):
        assert said in path.read_text(encoding="ascii").splitlines()[0]


def test_pyscf_reads_natural_transition_orbitals(tmp_path: Path) -> None:
    molden = pytest.importorskip("pyscf.tools.molden")
    result = nitroaniline()
    path = tmp_path / "S1.molden"
    write_natural_orbitals(result, 0, path)
    mol, _, coefficients, occupations, _, _ = molden.load(str(path))
    natural = result.wavefunctions().natural_orbitals(0)
    np.testing.assert_allclose(
        occupations[::2], natural.weights[: len(occupations) // 2], atol=1e-6
    )
    identity = coefficients.T @ mol.intor("int1e_ovlp") @ coefficients
    np.testing.assert_allclose(identity, np.eye(len(identity)), atol=1e-6)
    with pytest.raises(IndexError, match="state 9"):
        write_natural_orbitals(result, 9, path)


def test_ase_reads_cubes(tmp_path: Path) -> None:
    result = nitroaniline()
    paths = write_cubes(result, tmp_path / "cubes", states=1)
    assert [path.name for path in paths] == [
        "homo.cube",
        "lumo.cube",
        "S1-hole.cube",
        "S1-electron.cube",
    ]
    assert result.coefficients is not None
    homo = result.coefficients[:, result.n_occupied - 1]
    with paths[0].open() as file:
        found = read_cube(file)
    assert STATEMENT in paths[0].read_text().splitlines()[0]
    np.testing.assert_allclose(found["atoms"].positions, result.atoms.positions, atol=1e-5)
    # The square integrates to one, and the values are those at the file's own points.
    steps = np.diag(found["spacing"])
    assert np.square(found["data"]).sum() * (steps / BOHR).prod() == pytest.approx(1.0, abs=0.02)
    grid = Shapes(result.atoms).grid(steps[0], 3.5)
    np.testing.assert_allclose(found["origin"][:3], grid.origin, atol=1e-5)
    expected = Shapes(result.atoms).values(homo[:, None], grid)[0]
    np.testing.assert_allclose(found["data"], expected, atol=1e-5)


def test_overlap_and_functions_are_those_of_pyscf() -> None:
    gto = pytest.importorskip("pyscf.gto")
    atoms = Atoms("CHNOFSCl", np.random.default_rng(1).normal(size=(7, 3)) * 2.0)
    shapes = Shapes(atoms)
    described: Any = list(zip(atoms.symbols, atoms.positions, strict=True))
    mol = gto.M(atom=described, basis="sto-3g", charge=1, spin=None)
    # PySCF's STO-3G has cores too: the valence shell is the last s and the last p.
    kept = []
    for k, number in enumerate(atoms.numbers):
        shell = 1 if number == 1 else 2 if number < 11 else 3
        wanted = [f"{shell}s"] + [f"{shell}p{axis}" for axis in "xyz" if number > 1]
        kept += [mol.ao_labels(fmt=None).index(label) for label in labels_of(mol, k, wanted)]
    np.testing.assert_allclose(
        shapes.overlap, mol.intor("int1e_ovlp")[np.ix_(kept, kept)], atol=2e-5
    )
    grid = shapes.grid(1.5, 1.0)
    points = np.stack(np.meshgrid(*(grid.axis(k) for k in range(3)), indexing="ij"), axis=-1)
    inverse = np.asarray(np.linalg.inv(shapes.orthogonalizer), dtype=np.float64)
    found = shapes.values(inverse, grid).reshape(len(kept), -1)
    expected = mol.eval_gto("GTOval", points.reshape(-1, 3) / BOHR)[:, kept].T
    np.testing.assert_allclose(found, expected, atol=2e-5)


def labels_of(mol: Any, atom: int, wanted: list[str]) -> list[Any]:
    found = [x for x in mol.ao_labels(fmt=None) if x[0] == atom and f"{x[2]}{x[3]}" in wanted]
    return sorted(found, key=lambda x: wanted.index(f"{x[2]}{x[3]}"))


def test_a_surface_encloses_the_share_it_is_asked_for() -> None:
    pytest.importorskip("skimage")
    atoms = Atoms("H")
    shapes = Shapes(atoms)
    grid = shapes.grid(0.1, 4.0)
    values = shapes.values(np.ones((1, 1)), grid)[0]
    level = isovalue(values, 0.8)
    inside = np.square(values)[np.abs(values) >= level].sum() / np.square(values).sum()
    assert inside == pytest.approx(0.8, abs=0.01)
    vertices, triangles = surface(values, grid, level)
    radii = np.linalg.norm(vertices, axis=1)
    assert np.ptp(radii) < 0.02  # a sphere
    assert triangles.max() == len(vertices) - 1
    assert len(surface(values, grid, 10.0)[0]) == 0
