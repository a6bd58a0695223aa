"""The matrices are those of the formulas, term by term, however they are applied."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch
from systems import MOLECULES, System, explicit_relaxed_virtuals, parameters, random_system

from esml.physics.excitations import triplets
from esml.physics.interaction import ONE_CENTRE, Interaction
from esml.physics.orbitals import diagonalize
from esml.physics.response import Response, ResponseMatrix


def explicit_matrices(system: System, molecule: int) -> dict[str, np.ndarray]:
    """A + B, A − B and the triplet A of one molecule, term by term as the formulas read."""
    layout = system.layout
    n, o = int(layout.n_orbitals[molecule]), int(layout.n_occupied[molecule])
    orbitals = diagonalize(system.hamiltonian, layout.n_orbitals, layout.n_occupied)
    c = orbitals.coefficients[molecule, :n, :n].numpy()
    energies = orbitals.energies[molecule, :n].numpy()
    v = n - o
    virtuals = explicit_relaxed_virtuals(system, molecule)
    p = {
        f.name: getattr(system.interaction, f.name)[molecule].numpy()
        for f in fields(Interaction)
        if f.name != "virtual_scale"
    }

    atoms = (layout.molecule == molecule).nonzero()[:, 0]
    multipoles = np.zeros((len(atoms), n, n, 9))
    for atom, place in enumerate(atoms):
        own = layout.slot_orbital[place][layout.slot_mask[place]].numpy()
        for (s, mu), (t, nu) in product(enumerate(own), enumerate(own)):
            multipoles[atom] += np.einsum("p,q,c->pqc", c[mu], c[nu], ONE_CENTRE[s, t].numpy())

    def integral(left: np.ndarray, right: np.ndarray, name: str, monopole: str = "") -> float:
        """Σ over atoms of the multipoles (K, 9) of two orbital pairs."""
        total = 0.0
        for a in range(len(atoms)):
            if not monopole:
                total += p["triplet_monopole"][a] * left[a, 0] * right[a, 0]
            else:
                pairs = p[monopole]
                for b in range(len(atoms)):
                    total += left[a, 0] * pairs[a, b] * right[b, 0]
            total += p[f"{name}_dipole"][a] * (left[a, 1:4] @ right[a, 1:4])
            total += p[f"{name}_quadrupole"][a] * (left[a, 4:] @ right[a, 4:])
        return total

    single = list(product(range(o), range(o, n)))
    A, B, triplet = (np.zeros((o * v, o * v)) for _ in range(3))
    for (row, (i, a)), (column, (j, b)) in product(enumerate(single), enumerate(single)):
        q = multipoles
        delta = virtuals[a - o, b - o] * (i == j) - energies[i] * (row == column)
        coulomb = 2 * integral(q[:, i, a], q[:, j, b], "singlet", "coulomb")
        left, right = q[:, i, j], q[:, a, b]
        exchange = integral(left, right, "exchange", "exchange")
        A[row, column] = delta + coulomb - exchange
        B[row, column] = coulomb - integral(q[:, i, b], q[:, j, a], "exchange", "exchange")
        exchange = integral(left, right, "exchange", "triplet_exchange")
        triplet[row, column] = delta + 2 * integral(q[:, i, a], q[:, j, b], "triplet") - exchange
    return {"A+B": A + B, "A-B": A - B, "A": A, "triplet": triplet}


@pytest.mark.parametrize(
    "molecules", [[[6, 1, 1, 8]], [[7, 1, 1, 1], [16, 6]], [[1, 1, 6], [1, 1, 1, 1, 7]]]
)
def test_matrices_are_those_of_the_formulas(molecules: list[list[int]]) -> None:
    system = random_system(molecules, seed=1)
    response = system.response()
    for kind in get_args(ResponseMatrix):
        dense = response.dense(kind)
        for m in range(len(molecules)):
            singles = response.singles_mask[m].flatten()
            own = dense[m][singles][:, singles].numpy()
            np.testing.assert_allclose(own, explicit_matrices(system, m)[kind], atol=1e-12)
            assert not dense[m][~singles].any()
            assert not dense[m][:, ~singles].any()


def test_application_is_the_dense_matrix_in_chunks_too() -> None:
    system = random_system(MOLECULES)
    response, in_chunks = system.response(), system.response(chunk=5000)
    trial = torch.randn(len(MOLECULES), 3, *response.singles_mask.shape[1:], dtype=torch.float64)
    trial = trial * response.singles_mask[:, None]
    for kind in get_args(ResponseMatrix):
        whole = response.dense(kind)
        expected = (whole @ trial.flatten(2).mT).mT
        assert torch.allclose(response.apply(trial, kind).flatten(2), expected, atol=1e-12)
        assert torch.allclose(in_chunks.dense(kind), whole, atol=1e-13)


def test_functionals_are_stationary() -> None:
    system = random_system(MOLECULES[:2], seed=12)
    response, found = system.response(), system.singlets(3)
    T, U = found.X + found.Y, found.X - found.Y
    assert torch.allclose(response.singlet_functional(T, U), found.energies, atol=1e-12)
    noise = 1e-5 * torch.randn_like(T) * response.singles_mask[:, None]
    # Move T and U along the constraint TᵀU = 1: scale after the step.
    T, U = T + noise, U - noise
    U = U / (T * U).sum((2, 3), keepdim=True)
    assert torch.allclose(response.singlet_functional(T, U), found.energies, atol=1e-6)
    triplet = system.triplets(3)
    assert torch.allclose(response.triplet_functional(triplet.X), triplet.energies, atol=1e-12)


def test_arguments_that_do_not_fit_are_named() -> None:
    system = random_system([[6, 8], [1, 1]])
    response = system.response()
    with pytest.raises(ValueError, match="n_states must be at least 1, got 0"):
        triplets(response, 0)
    with pytest.raises(ValueError, match="kind must be"):
        response.apply(torch.zeros(2, 1, 5, 3).double(), "B")  # type: ignore[arg-type]
    single = Interaction(*(x.float() for x in parameters(system.interaction)))
    with pytest.raises(ValueError, match=r"interaction is torch\.float32"):
        Response(response.orbitals, single, system.layout)
    other = random_system([[6, 8, 1], [1, 1]])
    with pytest.raises(ValueError, match=r"orbitals must be \(2, 9, 9\)"):
        Response(response.orbitals, other.interaction, other.layout)
    with pytest.raises(ValueError, match=r"interaction\.coulomb must be \(2, 2, 2\)"):
        Response(response.orbitals, other.interaction, system.layout)
