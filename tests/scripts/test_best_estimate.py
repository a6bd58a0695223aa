"""Response parameters fitted to better energies: slopes, fit, and what stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule
from typer.testing import CliRunner

import esml
from esml.commands.app import app
from esml.model.hamiltonian import RESPONSE_WEIGHTS
from esml.physics.basis import ELEMENTS
from esml.predict.surrogate import Surrogate
from scripts.accuracy import quest
from scripts.training.best_estimate import like_neighbours, with_parameters
from scripts.training.better_energies import Better, Predicted, plane_normal, targets
from scripts.training.response_fit import (
    MoleculesToFit,
    Parameters,
    Prior,
    predicted_states,
    prepared,
    ridge,
    rows,
    solve,
    spread,
)

NAMES = ("H2CO", "C2H4", "HCN", "HCOOH", "CH3CHO", "C4H4O")


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model("camb3lyp", dtype=torch.float64)


def azulene_like(name: str) -> Better:
    """A molecule whose S1 and T1 are known, here as zero: errors are the energies themselves."""
    return Better(name, molecule(name), "adc2", name, {"s1_eV": 0.0, "t1_eV": 0.0})


@pytest.fixture(scope="module")
def batches(model: Surrogate) -> list[MoleculesToFit]:
    return list(prepared(model, [azulene_like(name) for name in NAMES]))


def energies(model: Surrogate, batch: MoleculesToFit, parameters: Parameters) -> np.ndarray:
    """(molecules, 2) S1 and T1, eV."""
    with torch.no_grad():
        both = solve(model, batch, parameters)
    found = [
        [predicted_states(batch, x, m)[0].energies[0] for x in both] for m in range(len(NAMES))
    ]
    return np.array(found)


def test_slopes_are_derivatives(model: Surrogate, batches: list[MoleculesToFit]) -> None:
    zero = Parameters.zero(model)
    found = rows(model, batches, zero)
    slopes = np.stack([row.slope for row in found]).reshape(len(NAMES), 2, -1)
    generator = np.random.default_rng(0)
    for _ in range(3):
        direction = generator.normal(size=zero.flat.shape) * 0.1
        step = 1e-3
        ahead, behind = (
            energies(model, batches[0], zero.like(sign * step * direction)) for sign in (1, -1)
        )
        np.testing.assert_allclose(
            slopes @ direction, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6
        )


def test_a_fit_finds_energies_that_some_parameters_have(
    model: Surrogate, batches: list[MoleculesToFit]
) -> None:
    zero = Parameters.zero(model)
    table = torch.zeros_like(zero.table)
    table[1:4, 3:] = 0.15 * torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    wanted = energies(model, batches[0], replace(zero, table=table)).ravel()
    prior = Prior(spread(batches), noise={"adc2": 1e-3}, huber=10.0)
    at, start = zero, 0.0
    for _ in range(4):
        found = [
            replace(row, target=float(target))
            for row, target in zip(rows(model, batches, at), wanted, strict=True)
        ]
        start = start or max(abs(row.error) for row in found)
        at = ridge(found, at, prior)
    left = energies(model, batches[0], at).ravel() - wanted
    assert start > 0.05
    assert np.abs(left).max() < 2e-3


def test_parameters_without_data_stay_zero(model: Surrogate, batches: list[MoleculesToFit]) -> None:
    zero = Parameters.zero(model)
    at = ridge(rows(model, batches, zero), zero, Prior(spread(batches)))
    assert torch.count_nonzero(at.table[5:]) == 0  # no S, no Cl
    assert torch.count_nonzero(at.table[1]) > 0


def test_a_fitted_model_predicts_what_the_fit_did(
    model: Surrogate, batches: list[MoleculesToFit]
) -> None:
    """Boron, of which nothing better is known, changes as carbon does."""
    generator = np.random.default_rng(3)
    zero = Parameters.zero(model)
    parameters = zero.like(0.02 * generator.normal(size=zero.flat.shape))
    expected = energies(model, batches[0], parameters)
    fresh = esml.load_model("camb3lyp", dtype=torch.float64)
    fitted = with_parameters(fresh, parameters, [1, 6, 7, 8])
    for atoms, energy in zip((m.atoms for m in batches[0].molecules), expected, strict=True):
        result = fitted.predict(atoms, n_states=1)
        assert [result.singlets.energies[0], result.triplets.energies[0]] == pytest.approx(
            energy, abs=1e-5
        )
    table = like_neighbours(parameters.table, [1, 6, 7, 8])
    assert torch.equal(table[ELEMENTS.index(5)], parameters.table[ELEMENTS.index(6)])


def test_triplets_of_small_molecules_rise_by_little_less_than_the_shift(
    model: Surrogate, batches: list[MoleculesToFit]
) -> None:
    """Hole and electron are near each other, and singlets know nothing of τ."""
    zero = Parameters.zero(model)
    shifted = replace(zero, shared=torch.tensor([0.0, 0.25], dtype=torch.float64))
    moved = energies(model, batches[0], shifted) - energies(model, batches[0], zero)
    np.testing.assert_allclose(moved[:, 0], 0.0, atol=1e-9)
    assert ((moved[:, 1] > 0.2) & (moved[:, 1] < 0.25)).all()


def test_states_are_matched_by_strength_where_it_is_listed() -> None:
    """The bright ππ* state is above the dark one in the list, below it in the prediction."""
    listed = tuple(
        {"multiplicity": 1, "kind": "V", "type": "ppi", "tbe_avtz_eV": e, "f_lr_cc3": f}
        for e, f in ((4.7, None), (4.8, 1.5))
    )
    atoms = molecule("butadiene")
    better = Better("x", atoms, "quest", "x", quest.BenchmarkMolecule("x", atoms, listed))
    none = Predicted(np.array([]), np.array([]), np.zeros((0, 2), dtype=bool))
    singlets = Predicted(np.array([4.4, 5.8]), np.array([1.5, 0.0]), np.ones((2, 2), dtype=bool))
    assert {t.energy: t.state for t in targets(better, singlets, none)} == {4.7: 1, 4.8: 0}


def test_states_are_matched_by_character() -> None:
    listed = (
        {"multiplicity": 1, "kind": "V", "type": "npi", "tbe_avtz_eV": 4.0},
        {"multiplicity": 1, "kind": "V", "type": "ppi", "tbe_avtz_eV": 9.0},
    )
    atoms = molecule("H2CO")
    better = Better("x", atoms, "quest", "x", quest.BenchmarkMolecule("x", atoms, listed))
    none = Predicted(np.array([]), np.array([]), np.zeros((0, 2), dtype=bool))
    # Predicted the other way round: ππ* below nπ*.
    pi = np.array([[True, True], [False, True]])
    singlets = Predicted(np.array([3.9, 4.1]), np.zeros(2), pi)
    found = {t.kind: t.state for t in targets(better, singlets, none)}
    assert found == {"npi": 1, "ppi": 0}


def test_planes() -> None:
    normal = plane_normal(molecule("C2H4"))
    assert normal is not None
    np.testing.assert_allclose(molecule("C2H4").positions @ normal, 0.0, atol=1e-9)
    assert plane_normal(molecule("C2H6")) is None
    assert plane_normal(molecule("CO2")) is None


def test_the_ground_state_stays_that_of_the_labels() -> None:
    faithful, better = (
        esml.load_model(name).predict(molecule("C4H4O"), n_states=3)
        for name in ("camb3lyp", "best_estimate")
    )
    np.testing.assert_array_equal(faithful.orbital_energies, better.orbital_energies)
    np.testing.assert_array_equal(faithful.charges, better.charges)
    np.testing.assert_array_equal(faithful.dipole, better.dipole)
    assert abs(faithful.triplets.energies - better.triplets.energies).max() > 0.05


def test_both_models_share_one_network() -> None:
    states = [esml.load_model(n).hamiltonian.state_dict() for n in ("camb3lyp", "best_estimate")]
    assert states[0].keys() == states[1].keys()
    changed = {k for k in states[0] if not torch.equal(states[0][k], states[1][k])}
    assert changed
    assert changed <= set(RESPONSE_WEIGHTS)


def test_stated_errors_are_those_of_network_and_fit() -> None:
    """σ² = u² + s² in every state, and the card says how far from the truth that is."""
    faithful, best = (esml.load_model(name) for name in ("camb3lyp", "best_estimate"))
    s = best.metadata["method_rmse_eV"]["singlets"]
    assert 0.1 < s < 0.3
    atoms = molecule("CH3CHO")
    u, stated = (m.predict(atoms, 1).singlets.uncertainties for m in (faithful, best))
    np.testing.assert_allclose(stated, np.hypot(u, s), rtol=0.02)  # u of states that differ a bit
    shown = CliRunner().invoke(app, ["info", "best_estimate"]).stdout
    assert "off the truth (QUEST MAIN, out of fold)" in shown
    assert f"singlets {best.metadata['truth']['mae_eV']['singlets']:.2f} eV" in shown
