"""Excitation labels by iteration against the dense matrices they never build."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase.build import molecule as g2

from reference import iteration
from reference.iteration import Products, lowest_excitations
from reference.response import ActiveSpace, excitations
from reference.scf import CalculationError, Level, ground_state, molecule

FEW = 4


def mean_field(name: str, level: Level) -> Any:
    return ground_state(molecule(g2(name), level.basis), level.functional, level)


@pytest.mark.parametrize("functional", ["camb3lyp", "pbe0", "hf", "lda,vwn"])
def test_same_states_as_the_dense_matrices(functional: str) -> None:
    # A range-separated functional, a global hybrid, no kernel at all, no exact exchange.
    level = Level(functional=functional, basis="6-31g", n_singlets=FEW, n_triplets=FEW)
    found = mean_field("H2CO", level)
    space, singlets, triplets = excitations(found, level)
    same_space, few_singlets, few_triplets = lowest_excitations(found, level)
    assert np.array_equal(space.gaps, same_space.gaps)
    for dense, few in ((singlets, few_singlets), (triplets, few_triplets)):
        assert few.energies == pytest.approx(dense.energies, abs=2e-4)  # eV
        assert few.oscillator_strengths == pytest.approx(dense.oscillator_strengths, abs=1e-3)
        overlap = np.einsum("sia,tia->st", dense.x, few.x) - np.einsum(
            "sia,tia->st", dense.y, few.y
        )
        assert np.abs(overlap) == pytest.approx(np.eye(FEW), abs=2e-2)


def test_degenerate_states_are_all_found() -> None:
    # N2 in its linear symmetry: Πg and Δu pairs.
    level = Level(basis="6-31g", n_singlets=5, n_triplets=5)
    found = mean_field("N2", level)
    _, singlets, triplets = excitations(found, level)
    _, few_singlets, few_triplets = lowest_excitations(found, level)
    assert few_singlets.energies == pytest.approx(singlets.energies, abs=5e-4)
    assert few_triplets.energies == pytest.approx(triplets.energies, abs=5e-4)
    assert np.diff(few_singlets.energies).min() < 1e-3


def test_products_are_symmetric() -> None:
    level = Level(basis="6-31g")
    found = mean_field("H2CO", level)
    products = Products(found, ActiveSpace.of(found, level), level)
    left, right = np.random.default_rng(0).normal(size=(2, 3, len(products.gaps)))
    for product in (products.plus, products.minus, products.triplet):
        assert left @ product(right).T == pytest.approx((right @ product(left).T).T, abs=1e-3)


def test_an_unstable_ground_state_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    level = Level(basis="6-31g", n_singlets=2, n_triplets=2)
    stretched = g2("N2")
    stretched.set_distance(0, 1, 2.4)
    found = ground_state(molecule(stretched, level.basis), level.functional, level)
    with pytest.raises(CalculationError, match="not the ground state"):
        lowest_excitations(found, level)
    monkeypatch.setattr(iteration, "triplet_states", lambda energies, x: None)
    with pytest.raises(CalculationError, match="unstable"):
        lowest_excitations(found, level)


def test_no_convergence_is_an_error() -> None:
    level = Level(basis="sto-3g", n_singlets=2, n_triplets=2)
    with pytest.raises(CalculationError, match="did not converge"):
        lowest_excitations(mean_field("H2CO", level), level, residual=1e-30)


def test_large_molecules_are_iterated() -> None:
    from reference import record

    level = Level(basis="6-31g", n_singlets=FEW, n_triplets=FEW)
    dense = record.make_record(g2("H2CO"), level)
    iterated = record.make_record(g2("H2CO"), level, dense_limit=0)
    assert iterated.singlet_energies == pytest.approx(dense.singlet_energies, abs=2e-4)
    assert iterated.singlet_valence_weights == pytest.approx(
        dense.singlet_valence_weights, abs=5e-3
    )
    assert vars(record)["excitations"] is excitations
