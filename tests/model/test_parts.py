"""Molecules far apart: each keeps its own electrons, and the change on approach is smooth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import read_all

import esml
from esml.physics import InstabilityError
from esml.physics.orbitals import diagonalize
from esml.predict.surrogate import Surrogate
from esml.units import COULOMB

MOLECULES: dict[str, Atoms] = {
    atoms.info["name"]: atoms
    for atoms in read_all(Path(__file__).parents[1] / "data" / "donors_acceptors.xyz")
}


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
    both: Atoms = donor + other
    return both


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
        total: torch.Tensor = (h * weight[: len(h), : len(h)]).sum()
        return total

    positions = graph.positions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(positions), positions)
    step = 1e-4
    with torch.no_grad():
        for atom in (int(np.argmax(atoms.positions[:9, 0])), len(atoms) - 1):
            shift = torch.zeros_like(positions)
            shift[atom, 0] = step
            numeric = (value(positions + shift) - value(positions - shift)) / (2 * step)
            assert float(gradient[atom, 0]) == pytest.approx(float(numeric), rel=1e-4, abs=1e-4)


def pair(first: str, second: str, distance: float) -> Atoms:
    """Two molecules, their centres ``distance`` (Å) apart."""
    one, other = (MOLECULES[name].copy() for name in (first, second))
    one.positions -= one.positions.mean(0)
    other.positions += [0.0, 0.0, distance] - other.positions.mean(0)
    both: Atoms = one + other
    both.info["charge"] = one.info["charge"] + other.info["charge"]
    return both


@pytest.fixture(scope="module")
def alone(model: Surrogate) -> dict[str, torch.Tensor]:
    """The levels of each molecule by itself."""
    return {name: orbitals(model, atoms) for name, atoms in MOLECULES.items()}


def levels_apart(
    alone: dict[str, torch.Tensor], first: str, second: str, distance: float
) -> torch.Tensor:
    """The union of the levels of each alone, in the potential of the other's charge."""
    return (
        torch.cat(
            [
                alone[own] - COULOMB * MOLECULES[partner].info["charge"] / distance
                for own, partner in ((first, second), (second, first))
            ]
        )
        .sort()
        .values
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("TDAE", "TCNQ"), ("TTF", "TCNQ"), ("TDAE", "DDQ"), ("aniline", "TCNE")],
)
def test_orbitals_of_a_neutral_pair_are_those_of_the_parts(
    model: Surrogate, alone: dict[str, torch.Tensor], first: str, second: str
) -> None:
    """What is left is electrostatics: it falls off as the dipole's or quadrupole's potential."""
    left = []
    for distance in (20.0, 200.0, 900.0):
        found = orbitals(model, pair(first, second, distance))
        difference = found - levels_apart(alone, first, second, distance)
        left.append(float(difference.abs().max()))
    assert left[0] < 0.02
    assert left[2] < 1e-5
    assert left[2] < left[1] / 15 < left[0] / 150


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("diquat", "aniline"),  # 2 +: two electrons less on one of two even parts
        ("TCNQ", "oxalate"),  # 2 −
        ("TDAE", "pyridinium"),
        ("TCNE", "phenolate"),
        ("ammonium", "formate"),  # a salt: neutral in all
        ("pyridinium", "phenolate"),
    ],
)
def test_charges_are_placed_on_the_part_they_belong_to(
    model: Surrogate, alone: dict[str, torch.Tensor], first: str, second: str
) -> None:
    distance = 900.0
    found = orbitals(model, pair(first, second, distance))
    expected = levels_apart(alone, first, second, distance)
    torch.testing.assert_close(found, expected, atol=3e-5, rtol=0)


def test_parts_that_never_stop_taking_electrons_are_refused(model: Surrogate) -> None:
    """In vacuum, far apart, a dication takes electrons from a strong donor, and gives them back."""
    with pytest.raises(InstabilityError, match="unstable: parts of it that do not touch"):
        model.predict(pair("diquat", "TDAE", 200.0), 1)
    found = list(
        model.predict_many(
            [molecule("H2CO"), pair("diquat", "TDAE", 200.0)], 1, errors="return"
        )
    )  # fmt: skip
    assert isinstance(found[0], esml.Result)
    assert isinstance(found[1], esml.Failure)


def test_two_distant_ions_are_filled_from_the_bottom(model: Surrogate) -> None:
    """NH4 and Cl have odd numbers of electrons; the ion's levels feel the other's charge."""
    tetrahedron = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.59
    distance = 20.0
    pair = Atoms("NH4Cl", positions=[*tetrahedron, [distance, 0.0, 0.0]])
    cation = Atoms("NH4", positions=tetrahedron, info={"charge": 1})
    shifted = orbitals(model, cation) + COULOMB / distance
    chloride = orbitals(model, pair).tolist()
    for level in shifted.tolist():
        nearest = min(chloride, key=lambda found: abs(found - level))
        assert nearest == pytest.approx(level, abs=0.03)
        chloride.remove(nearest)
    assert chloride[1:] == pytest.approx([chloride[1]] * 3, abs=0.02)  # 3p, all occupied


def test_the_charge_of_a_distant_ion_stays_on_it(model: Surrogate) -> None:
    ammonium = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.59
    far = tetracyanoethylene()
    far.positions += [60.0, 0.0, 0.0]
    pair = Atoms("NH4", positions=ammonium) + far
    pair.info["charge"] = 1
    assert model.predict(pair, 1).charges[:5].sum() == pytest.approx(1.0, abs=0.01)
