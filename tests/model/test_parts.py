"""Molecules far apart: each keeps its own electrons, and the change on approach is smooth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.physics.orbitals import diagonalize
from esml.predict.surrogate import Surrogate


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


def tetracyanoethylene() -> Atoms:
    """An acceptor so strong that it takes electrons from donors at the levels H⁰ starts from."""
    carbons = [(0.68, 0, 0), (-0.68, 0, 0)]
    cyano = [(s * x, t * y, 0) for s in (1, -1) for t in (1, -1) for x, y in [(1.42, 1.21)]]
    nitrogens = [(s * x, t * y, 0) for s in (1, -1) for t in (1, -1) for x, y in [(1.99, 2.20)]]
    return Atoms("C6N4", positions=[*carbons, *cyano, *nitrogens])


def ethylamine_pair(distance: float) -> Atoms:
    other = tetracyanoethylene()
    donor = molecule("CH3CH2NH2")
    gap = donor.positions[:, 0].max() - other.positions[:, 0].min()
    other.positions[:, 0] += gap + distance
    return donor + other


def orbitals(model: Surrogate, atoms: Atoms) -> torch.Tensor:
    graph = model.graph([atoms])
    with torch.no_grad():
        operators = model.hamiltonian(graph)
    layout = operators.layout
    return diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied).energies[0]


@pytest.mark.parametrize("donor", ["CH3CH2NH2", "C6H6", "C4H4S", "itself"])
def test_far_molecules_have_the_orbitals_of_each(model: Surrogate, donor: str) -> None:
    first = tetracyanoethylene() if donor == "itself" else molecule(donor)
    second = tetracyanoethylene()
    second.positions += [0.0, 0.0, 400.0]
    apart = torch.cat([orbitals(model, first), orbitals(model, second)]).sort().values
    together = orbitals(model, first + second)
    # What is left is the potential of a quadrupole or dipole at 400 Å.
    torch.testing.assert_close(together, apart, atol=2e-4, rtol=0)


def test_levels_follow_the_distance_smoothly(model: Surrogate) -> None:
    """From one part to two: no step of 1e-4 Å moves a level by more than 1e-3 eV."""
    for distance in (4.0, 4.7, 5.5, 6.0):
        low, high = (orbitals(model, ethylamine_pair(distance + d)) for d in (-5e-5, 5e-5))
        assert float((low - high).abs().max()) < 1e-3


def test_gradients_hold_between_one_part_and_two(model: Surrogate) -> None:
    atoms = ethylamine_pair(5.0)
    graph = model.graph([atoms])
    weight = torch.randn(200, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def value(positions: torch.Tensor) -> torch.Tensor:
        h = model.hamiltonian(replace(graph, positions=positions)).hamiltonian[0]
        return (h * weight[: len(h), : len(h)]).sum()

    positions = graph.positions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(positions), positions)
    step = 1e-4
    with torch.no_grad():
        for atom in (int(np.argmax(atoms.positions[:9, 0])), len(atoms) - 1):
            shift = torch.zeros_like(positions)
            shift[atom, 0] = step
            numeric = (value(positions + shift) - value(positions - shift)) / (2 * step)
            assert float(gradient[atom, 0]) == pytest.approx(float(numeric), rel=1e-4, abs=1e-4)


def test_two_distant_ions_are_filled_from_the_bottom(model: Surrogate) -> None:
    """NH4 and Cl have odd numbers of electrons; together they are a closed shell."""
    tetrahedron = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.59
    pair = Atoms("NH4Cl", positions=[*tetrahedron, [20.0, 0.0, 0.0]])
    charges = model.predict(pair, 1).charges
    assert charges[-1] == pytest.approx(-1.0, abs=0.01)


def test_the_charge_of_a_distant_ion_stays_on_it(model: Surrogate) -> None:
    ammonium = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.59
    far = tetracyanoethylene()
    far.positions += [60.0, 0.0, 0.0]
    pair = Atoms("NH4", positions=ammonium) + far
    pair.info["charge"] = 1
    assert model.predict(pair, 1).charges[:5].sum() == pytest.approx(1.0, abs=0.01)
