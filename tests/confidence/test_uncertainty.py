"""What a model says of its own errors: calibration, symmetries, and what is out of domain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.stats import spearmanr
from surrogate_cases import read_one
from typer.testing import CliRunner

import esml
from esml.commands.app import app
from esml.confidence.domain import bonding, unfamiliar
from esml.confidence.uncertainty import NAMES, populations
from esml.io.records import Record, read
from esml.io.structure_checks import StructureError
from esml.predict.model_files import save_model
from esml.predict.surrogate import Surrogate
from esml.results import Result, States, half_width
from esml.training import LeftOut, calibrate
from esml.training.calibration import Errors, fit, states, unseen
from esml.training.evaluation import evaluate_records
from esml.training.targets import structure

Array = NDArray[np.float64]

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data" / "small"
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Every second training record, and those for validation."""
    found = read(DATA)
    training = [r for r in found if r.split == "train"][::2]
    return training + [r for r in found if r.split == "validation"]


@pytest.fixture(scope="module")
def model(records: list[Record]) -> Surrogate:
    training, validation = ([r for r in records if r.split == s] for s in ("train", "validation"))
    return calibrate(esml.load_model("camb3lyp"), training, validation)


# ---- the error model ---------------------------------------------------------------------------


def synthetic(n_molecules: int, seed: int, size: Callable[[Array], Array]) -> tuple[Errors, Array]:
    """Normal errors of molecules of ten states each, and their standard deviations."""
    rng = np.random.default_rng(seed)
    n_old = NAMES.index("size")
    z = rng.normal(size=(10 * n_molecules, n_old))
    deviation = size(z)
    errors = deviation * rng.normal(size=len(z))
    z = np.concatenate([z, rng.normal(size=(len(z), len(NAMES) - n_old))], 1)
    names = [f"{i // 10}" for i in range(len(z))]
    return Errors(z, errors, names), deviation


CASES: dict[str, Callable[[Array], Array]] = {
    "novelty": lambda z: 0.1 * np.exp(0.5 * z[:, 0]),
    "several": lambda z: 0.1 * np.exp(0.5 * z[:, 0] - 0.3 * z[:, 5]),
    "others": lambda z: 0.3 * np.exp(0.4 * z[:, 3] + 0.2 * z[:, 19]),
}
"""Standard deviations of errors as functions of the descriptors."""


@pytest.mark.parametrize("case", CASES)
def test_known_errors_are_found_again(case: str) -> None:
    """Errors of known size: on molecules not fitted to, the size is found, and intervals hold."""
    error_model, summary = fit(synthetic(200, 0, CASES[case])[0])
    assert summary["n_molecules"] == 200
    fresh, truth = synthetic(500, 1, CASES[case])
    stated = error_model(torch.from_numpy(fresh.values)).numpy()
    assert spearmanr(stated, truth).statistic > 0.9
    inside = np.mean(np.abs(fresh.errors) <= half_width(0.9) * stated)
    assert 0.87 < inside < 0.93


def test_where_there_is_nothing_to_learn_all_states_are_alike() -> None:
    def case(z: Array) -> Array:
        return np.full(len(z), 0.1)

    error_model, _ = fit(synthetic(400, 2, case)[0])
    stated = error_model(torch.from_numpy(synthetic(100, 3, case)[0].values)).numpy()
    assert stated.std() < 0.01
    assert stated.mean() == pytest.approx(0.1, rel=0.08)


def test_what_was_never_seen_is_stated_no_better_and_not_absurd() -> None:
    error_model, _ = fit(synthetic(100, 4, CASES["several"])[0])
    far = np.full((2, len(NAMES)), 1e4)
    far[0, 0] = 0.0
    usual, novel = error_model(torch.from_numpy(far)).numpy()
    assert usual < novel < 100.0


def test_how_errors_grow_is_learned_from_models_that_know_less() -> None:
    """Own molecules show no growth, others do, in units of another size: known are both."""
    grow = CASES["novelty"]
    own, _ = synthetic(300, 6, grow)
    near = np.flatnonzero(np.abs(own.values[:, 0]) < 0.3)
    own = Errors(own.values[near], own.errors[near], [own.molecules[i] for i in near])
    others, _ = synthetic(300, 7, grow)
    fresh, truth = synthetic(300, 8, grow)
    alone, _ = fit(own)
    together, summary = fit(own, [others])
    assert summary["n_models"] == 2
    assert summary["n_molecules"] == 300
    far = fresh.values[:, 0] > 1.5
    ratio = [
        float(np.median(each(torch.from_numpy(fresh.values[far])).numpy() / truth[far]))
        for each in (alone, together)
    ]
    assert ratio[0] < 0.6
    assert 0.8 < ratio[1] < 1.3


def test_errors_of_a_model_that_knows_less_come_in_units_of_the_model(
    model: Surrogate, records: list[Record]
) -> None:
    validation = [r for r in records if r.split == "validation"][:12]
    others = [r for r in records if r.split == "train"][:6]
    own = states(model, validation)
    halved = Errors(own.values, 0.5 * own.errors, own.molecules)
    found = unseen(LeftOut(model, others), validation, halved)
    assert found.molecules[: len(own.molecules)] == own.molecules
    np.testing.assert_allclose(found.errors[: len(own.errors)], halved.errors)
    raw = states(model, others)
    np.testing.assert_allclose(found.errors[len(own.errors) :], 0.5 * raw.errors)


def test_populations_are_those_of_the_state_densities(model: Surrogate) -> None:
    """By atom, the diagonals of the attachment and detachment densities (``characters``)."""
    atoms = molecule("CH3CHO")
    with torch.no_grad():
        solution = model(model.graph([atoms]), 4)
    found = populations(solution.triplets, solution.orbitals, solution.operators.layout)[0]
    waves = model.predict(atoms, 4).wavefunctions("triplets")
    owner = np.repeat(np.arange(len(atoms)), np.where(atoms.numbers == 1, 1, 4))
    for state in range(4):
        attached, detached = waves.attachment_detachment(state)
        for k, density in enumerate((detached, attached)):
            by_atom = np.bincount(owner, np.diag(density), len(atoms))
            np.testing.assert_allclose(found[state, k].numpy(), by_atom, atol=1e-4)


# ---- what users see ----------------------------------------------------------------------------


def stated(result: Result) -> Array:
    return np.concatenate([result.singlets.uncertainties, result.triplets.uncertainties])


def test_uncertainties_differ_by_state_and_are_no_fraction_of_nothing(model: Surrogate) -> None:
    found = stated(model.predict(molecule("CH3CHO"), 5))
    assert len(np.unique(found.round(6))) == 10
    assert ((found > 0.02) & (found < 3.0)).all()


@pytest.mark.parametrize("name", ["CH3CHO", "C6H6"])
def test_orientation_and_order_do_not_matter(model: Surrogate, name: str) -> None:
    """Benzene: axes within degenerate sets are arbitrary, and depend on the orientation.

    No such set is cut by the number of states.
    """
    atoms = molecule(name)
    expected = stated(model.predict(atoms, 7, n_triplets=6))
    turned = atoms.copy()
    turned.positions = Rotation.random(rng=3).apply(atoms.positions)
    turned.translate([1.0, -2.0, 0.5])
    np.testing.assert_allclose(stated(model.predict(turned, 7, n_triplets=6)), expected, rtol=2e-3)
    order = np.random.default_rng(0).permutation(len(atoms))
    np.testing.assert_allclose(
        stated(model.predict(atoms[order], 7, n_triplets=6)), expected, rtol=2e-3
    )


def test_company_in_a_batch_does_not_matter(model: Surrogate) -> None:
    names = ("CH3CHO", "C2H4", "C6H6", "HCOOH", "CH3Cl")
    structures = [molecule(name) for name in names]
    for atoms, found in zip(structures, model.predict_many(structures, 5), strict=True):
        assert isinstance(found, Result)
        alone = model.predict(atoms, 5)
        np.testing.assert_allclose(stated(found), stated(alone), rtol=1e-3)
        assert (found.in_domain, found.warnings) == (alone.in_domain, alone.warnings)


@pytest.mark.parametrize("partner", ["CH3CHO", "HCOOH"])
def test_a_molecule_far_away_does_not_matter(model: Surrogate, partner: str) -> None:
    """Each state is as uncertain as alone: that of either molecule, or, of two alike, shared."""
    atoms, other = molecule("CH3CHO"), molecule(partner)
    singles = [model.predict(each, 2).singlets for each in (atoms, other)]
    other.positions += [40.0, 0.0, 0.0]
    both = model.predict(atoms + other, 3).singlets
    lowest = [(s.energies[0], s.uncertainties[0]) for s in singles]
    for energy, uncertainty in lowest:
        place = int(np.abs(both.energies - energy).argmin())
        assert both.energies[place] == pytest.approx(energy, abs=1e-3)
        assert both.uncertainties[place] == pytest.approx(uncertainty, rel=1e-3)


def test_intervals_are_those_of_a_normal_distribution() -> None:
    energies, deviation = np.array([3.0, 5.0]), np.array([0.1, 0.4])
    states = States.of("singlet", {"energies": energies, "uncertainties": deviation})
    # Table of the normal distribution: 90 % within 1.645, 68.3 % within one deviation.
    np.testing.assert_allclose(states.interval()[:, 1] - energies, 1.645 * deviation, rtol=1e-3)
    np.testing.assert_allclose(energies - states.interval(0.6827)[:, 0], deviation, rtol=1e-3)
    for level in (0.0, 1.0, 90.0):
        with pytest.raises(ValueError, match="expected a share between 0 and 1"):
            states.interval(level)


def test_a_file_keeps_all_of_it(model: Surrogate, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(model, path)
    loaded = esml.load_model(path)
    assert loaded.metadata["uncertainty"] == model.metadata["uncertainty"]
    for atoms in (molecule("CH3CHO"), stretched("C2H6", 1.4)):
        first, second = (m.predict(atoms, 3) for m in (model, loaded))
        np.testing.assert_allclose(stated(first), stated(second), rtol=1e-12)
        assert first.warnings == second.warnings


def test_without_an_error_model_the_validation_error_is_stated(model: Surrogate) -> None:
    bare = Surrogate(model.hamiltonian, model.metadata).eval()
    result = bare.predict(molecule("CH3CHO"), 3)
    assert set(result.singlets.uncertainties) == {model.metadata["validation_rmse_eV"]["singlets"]}
    assert result.in_domain
    assert not bare.predict(Atoms("NH4", AMMONIUM, info={"charge": 1}), 3).in_domain


def test_evaluation_scores_what_is_stated(model: Surrogate, records: list[Record]) -> None:
    """On molecules the error model was fitted to: it holds them, at least."""
    validation = [r for r in records if r.split == "validation"]
    result = evaluate_records(model, validation)
    assert 0.85 < result["coverage_90"] < 0.97
    assert result["uncertainty_spearman"] > 0.1
    found = list(model.predict_many([structure(r) for r in validation], 1))
    outside = [not r.in_domain for r in found if isinstance(r, Result)]
    assert result["out_of_domain_share"] == pytest.approx(np.mean(outside))
    assert 0.0 < np.mean(outside) < 1.0
    bare = evaluate_records(Surrogate(model.hamiltonian).eval(), validation[:4])
    assert np.isnan(bare["coverage_90"])
    assert np.isnan(bare["uncertainty_spearman"])


# ---- domain ------------------------------------------------------------------------------------

AMMONIUM = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.59

BONDS = {  # one end, the other, and the atoms that move with it
    "H2CO": (1, 0, [0]),
    "C2H6": (0, 1, [1, 5, 6, 7]),
    "C2H4": (0, 1, [1, 4, 5]),
    "CH3OH": (0, 1, [1, 3]),
    "CH3Cl": (0, 1, [1]),
    "C6H6": (0, 6, [6]),
}


def stretched(name: str, factor: float) -> Atoms:
    atoms: Atoms = molecule(name)
    one, other, moving = BONDS[name]
    atoms.positions[moving] += (factor - 1.0) * (atoms.positions[other] - atoms.positions[one])
    return atoms


def in_domain(model: Surrogate, atoms: Atoms) -> bool:
    """Whether ``atoms`` are in the domain; a structure refused as no molecule is not."""
    try:
        graph = model.graph([atoms])
    except StructureError:
        return False
    with torch.no_grad():
        features = model.hamiltonian(graph).features
    assert model.domain is not None
    (verdict,) = model.domain.verdicts(graph, model.domain(graph, features))
    return verdict.in_domain


def test_bonds_are_counted_as_a_chemist_does() -> None:
    """Formaldehyde: C has two single bonds to H and a double bond, three neighbours."""
    model = esml.load_model()
    oxygen, carbon, *hydrogens = bonding(model.graph([molecule("H2CO")])).tolist()
    assert carbon == pytest.approx([2.0, 2.0, 6.0], abs=0.35)
    assert oxygen == pytest.approx([0.0, 2.0, 2.0], abs=0.35)
    for hydrogen in hydrogens:
        assert hydrogen == pytest.approx([0.0, 1.0, 2.0], abs=0.35)


@pytest.mark.parametrize("name", BONDS)
def test_a_breaking_bond_is_out_of_domain(model: Surrogate, name: str) -> None:
    """From some length on and ever after; and no bond that is merely a little long."""
    factors = (1.0, 1.04, 1.5, 1.75, 2.0, 2.5, 4.0)
    found = [in_domain(model, stretched(name, factor)) for factor in factors]
    assert found == [factor < 1.1 for factor in factors]


def test_atoms_moved_at_random_are_out_of_domain() -> None:
    model = esml.load_model()
    rng = np.random.default_rng(0)
    # Thioketenes are out of domain as they are.
    known = [r for r in read(DATA, split="test") if "C=S" not in r.smiles and "S=C" not in r.smiles]
    relaxed = [r for r in known if r.geometry == "relaxed"][:40]
    structures = [structure(r) for r in relaxed]
    assert np.mean([in_domain(model, atoms) for atoms in structures]) > 0.85
    for atoms in structures:
        atoms.positions += 0.3 * rng.normal(size=atoms.positions.shape)
    assert np.mean([in_domain(model, atoms) for atoms in structures]) < 0.1


def test_an_element_not_trained_on_is_out_of_domain(records: list[Record]) -> None:
    chosen = [r for r in records if 17 not in r.numbers][::6]
    training, validation = ([r for r in chosen if r.split == s] for s in ("train", "validation"))
    model = calibrate(esml.load_model("camb3lyp"), training, validation)
    result = model.predict(molecule("CH3Cl"), 3)
    assert not result.in_domain
    assert "no training molecule contains Cl" in result.warnings[0]
    assert np.isfinite(stated(result)).all()


def test_charges_and_sizes_are_remarked_on(model: Surrogate) -> None:
    result = model.predict(Atoms("NH4", AMMONIUM, info={"charge": 1}), 3)
    assert not result.in_domain
    assert any("charge is +1 e" in warning for warning in result.warnings)
    large = model.predict(read_one(EXAMPLES / "azobenzene.xyz"), 2)
    assert any("14 heavy atoms" in warning for warning in large.warnings)
    assert unfamiliar([1, 6], 0, {1, 6, 8}) == []


def test_the_command_line_warns(model: Surrogate, tmp_path: Path) -> None:
    path, geometry = tmp_path / "model.safetensors", tmp_path / "long.xyz"
    save_model(model, path)
    ase.io.write(geometry, stretched("CH3Cl", 1.4))
    shown = CliRunner().invoke(app, ["spectrum", str(geometry), "--model", str(path)])
    assert shown.exit_code == 0
    (line,) = [text for text in shown.stderr.splitlines() if "the bonds of atom" in text]
    assert line.startswith("warning: ")
    output = tmp_path / "out.csv"
    done = CliRunner().invoke(
        app, ["predict", str(geometry), "-o", str(output), "--model", str(path)]
    )
    assert done.exit_code == 0
    assert "warning: 1 of the predicted" in done.stderr
    header, row = output.read_text().splitlines()
    assert row.split(",")[header.split(",").index("in_domain")] == "0"
