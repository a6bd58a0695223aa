"""Problems for the tests of the solvers, and what it means that two solvers agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from torch import Tensor

from esml.physics import orbitals
from esml.physics.excitations import Excitations, singlets, triplets
from esml.physics.response import Response
from esml.physics.strategy import Strategy
from esml.predict.surrogate import Surrogate

DATA = Path(__file__).parents[1] / "data" / "small"

PRECISIONS = {torch.float32: 1e-6, torch.float64: 1e-10}
"""Precision of iterations, and how well energies then agree, eV."""


DENSE = Strategy(dense=10**9)


ITERATIVE = Strategy(dense=0, dense_per_state=0)


def from_near_pairs(binding: float) -> Strategy:
    """Iterations of any molecule between local orbitals, from pairs bound by so many eV."""
    return replace(ITERATIVE, large=0, widest_band=2.0, binding=binding, strip_holes=1)


def problem(model: Surrogate, structures: list[Atoms]) -> tuple[Response, Tensor]:
    with torch.no_grad():
        operators = model.hamiltonian(model.graph(structures)).double()
        layout = operators.layout
        found = orbitals.diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        return Response(found, operators.interaction, layout), operators.dipole


def solved(
    response: Response, dipole: Tensor, n_states: int, precision: torch.dtype, strategy: Strategy
) -> tuple[Excitations, Excitations]:
    with torch.no_grad():
        return (
            singlets(response, dipole, n_states, precision, strategy=strategy),
            triplets(response, n_states, precision, strategy=strategy),
        )


def strength_below(found: Excitations, gap: float = 1e-3) -> list[float]:
    """Strengths summed over states closer than ``gap`` (eV), of the sets that are complete."""
    sums: list[float] = []
    for energies, strengths in zip(found.energies, found.oscillator_strengths, strict=True):
        cuts = (energies.diff() > gap).nonzero()[:, 0].tolist()
        starts = [0, *(c + 1 for c in cuts)]
        sums += [float(strengths[a:b].sum()) for a, b in pairwise(starts)]
    return sums


def assert_agree(
    response: Response,
    dipole: Tensor,
    n_states: int,
    precision: torch.dtype,
    strategy: Strategy = ITERATIVE,
) -> None:
    dense = solved(response, dipole, n_states, precision, DENSE)
    iterative = solved(response, dipole, n_states, precision, strategy)
    for one, other in zip(iterative, dense, strict=True):
        assert torch.equal(one.stable, other.stable)
        torch.testing.assert_close(
            one.energies, other.energies, atol=PRECISIONS[precision], rtol=0, equal_nan=True
        )
    np.testing.assert_allclose(
        strength_below(iterative[0]), strength_below(dense[0]), atol=100 * PRECISIONS[precision]
    )


def polygon(size: int) -> Atoms:
    """An exact regular polygon of CH groups, whose states pair up."""
    angles = 2 * np.pi * np.arange(size) / size
    unit = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    radius = 1.395 / (2 * np.sin(np.pi / size))
    return Atoms(f"C{size}H{size}", np.concatenate([r * unit for r in (radius, radius + 1.09)]))


def cubane() -> Atoms:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return Atoms("C8H8", np.concatenate([0.785 * corners, 1.41 * corners]))


def butadiene_chain(n_double_bonds: int) -> Atoms:
    """A polyene in a straight line of alternating bonds, hydrogens left and right."""
    n = 2 * n_double_bonds
    steps = np.where(np.arange(n - 1) % 2 == 0, 1.34, 1.45)
    angles = np.radians(np.where(np.arange(n - 1) % 2 == 0, 28.0, -28.0))
    moves = np.stack([steps * np.cos(angles), steps * np.sin(angles), 0 * steps], 1)
    carbons = np.concatenate([np.zeros((1, 3)), np.cumsum(moves, 0)])
    side = np.where(np.arange(n) % 2 == 0, -1.09, 1.09)
    hydrogens = carbons + np.stack([0 * side, side, 0 * side], 1)
    ends = [carbons[0] + [-0.93, 0.57, 0], carbons[-1] + [0.93, -0.57, 0]]
    return Atoms(f"C{n}H{n + 2}", np.concatenate([carbons, hydrogens, ends]))


def copies(name: str, n_copies: int, distance: float) -> Atoms:
    """Equal molecules in a row along z."""
    row = Atoms()
    for place in range(n_copies):
        unit = molecule(name)
        unit.positions += [0.0, 0.0, distance * place]
        row += unit
    return row


def row_of_formaldehydes(n_molecules: int) -> Atoms:
    row = Atoms()
    for place in range(n_molecules):
        unit = molecule("H2CO")
        unit.rotate(40.0 * place, "x")
        unit.positions += [4.2 * place, 0.0, 0.0]
        row += unit
    return row


def scaled_exchange(response: Response, factor: float) -> Response:
    """The same molecules with the attraction of electron and hole scaled."""
    interaction = response.interaction
    changed = {
        name: factor * getattr(interaction, name)
        for name in ("exchange", "triplet_exchange", "exchange_dipole", "exchange_quadrupole")
    }
    return Response(response.orbitals, replace(interaction, **changed), response.layout)
