"""Levels of atoms by least squares, so that long waves of the potential are right from the start.

In cells of some 15 atoms what the charges of ions do to levels can be mimicked by the crystal field
of near pairs. The fit of H(R) holds both by ridges and divides it between them as these say; in
larger cells, whose potential has longer waves, levels of whole layers are then off by 0.3 eV, and
training does not find the way back, along which κ, the charges that pairs exchange and the crystal
field change together. Here they are fitted together, nearly without ridges, to what is left at each
atom A between the reference's states (P projects onto them):

    d_A = Σ_μ∈A (P ΔH P)_μμ / Σ_μ∈A P_μμ .

It is linear in levels, κ, charges and the part of the crystal field that moves all levels of an
atom alike: levels moved by v change it by Σ_B M_AB v_B with

    M_AB = Σ_μ∈A,ν∈B |P_μν|² / Σ_μ∈A P_μμ ,      Σ_B M_AB = 1 .

The zero of each crystal is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from esml.model.crystals import Neighbourhood, Tables
from esml.training.crystals.losses import Target
from esml.training.crystals.two_centre_fit import (
    TableParts,
    moved_by_charges,
    solve,
    tables,
    whitening_of,
)

RIDGE = 1e-3
"""Of charges and crystal field, against the mean square of the features of the crystal field."""
NEARLY_FREE = 1e-6
"""Part of it for levels and κ."""
LARGE_WEIGHT = 3.0
"""Of the atoms of larger crystals, which tell long waves from short ones."""
LARGE = 20
"""Atoms; crystals with more are larger ones."""
ALIKE = (0, 2, 3)
"""Places of ssσ, ppσ and ppπ: equal ones move all levels of an atom alike."""


@torch.no_grad()
def fit_levels(parts: TableParts, targets: Sequence[Target]) -> TableParts:
    """Return ``parts`` with levels, share, charges and crystal field fitted to levels of atoms.

    Parameters
    ----------
    parts:
        The fit of H(R) of crystals of ions.
    targets:
        The training crystals.

    Raises
    ------
    ValueError
        For tables without charges of ions.
    """
    if parts.ions is None:
        raise ValueError("these tables have no charges of ions: expected those of insulators")
    Z = len(parts.levels)
    found = Tables(parts.levels, tables(parts.hopping, Z), tables(parts.field, Z), *parts.ions)
    whitening = whitening_of([t.near for t in targets])
    designs, missing = [], []
    for target in targets:
        weight = LARGE_WEIGHT**0.5 if len(target.near.rows) > LARGE else 1.0
        off, spread = errors_of_levels(found, target)
        design = spread @ _features(target.near, whitening, Z)
        designs.append(weight * (design - design.mean(0)))
        missing.append(weight * (off.mean() - off))
    design = torch.cat(designs)
    n_radial = whitening.shape[1]
    n_pairs = Z * Z * n_radial
    ridge = torch.full((design.shape[1],), RIDGE).to(design)
    ridge *= design[:, -n_pairs:].square().sum() / n_pairs
    ridge[: Z + 1] *= NEARLY_FREE
    solution = solve(design, torch.cat(missing)[:, None], ridge)[:, 0]
    levels, share, charges, field = solution.split([Z, 1, n_pairs, n_pairs])
    moved = parts.field.clone()
    moved[1 + 2 * Z :, ALIKE] += (field.view(Z * Z, n_radial) @ whitening.T)[:, None]
    upper = torch.triu(torch.ones(Z, Z), diagonal=1).to(charges)[:, :, None]
    exchange = parts.ions[1] + upper * (charges.view(Z, Z, n_radial) @ whitening.T)
    return replace(
        parts,
        levels=parts.levels + levels[:, None],
        field=moved,
        ions=(parts.ions[0] + share[0], exchange),
    )


@torch.no_grad()
def errors_of_levels(found: Tables, target: Target) -> tuple[Tensor, Tensor]:
    """Return d (N,) of the Hamiltonian of two centres with tables ``found``, eV, and M (N, N).

    Parameters
    ----------
    found:
        The tables.
    target:
        A crystal and its reference.
    """
    N = len(target.near.rows)
    known = target.states * target.exact[:, None].to(target.states.dtype)
    projector = known @ known.mH
    h = found.hamiltonian(target.near).at(target.k_points)
    off = projector @ h @ projector - (known * target.energies[:, None]) @ known.mH
    inside = [torch.diagonal(each, dim1=1, dim2=2).real for each in (off, projector)]
    moved, held = ((target.shares[:, None] * each).sum(0).view(N, -1).sum(1) for each in inside)
    squares = (target.shares[:, None, None] * projector.abs().square()).sum(0)
    spread = squares.view(N, -1, N, squares.shape[0] // N).sum((1, 3))
    return moved / held, spread / held[:, None]


def _features(near: Neighbourhood, whitening: Tensor, Z: int) -> Tensor:
    """(N, Z + 1 + 2 Z² n_radial) what moves all levels of an atom alike.

    A level for each row, formal charges, charges of pairs, and the crystal field of pairs.
    """
    N, basis = len(near.rows), near.basis @ whitening
    levels = torch.eye(Z, dtype=torch.float64)[near.rows]
    place = near.pairs.first * Z + near.rows[near.pairs.second]
    around = basis.new_zeros(N * Z, basis.shape[1]).index_add(0, place, basis).view(N, 1, -1)
    field = (levels[:, :, None] * around).view(N, -1)
    return torch.cat([levels, moved_by_charges(near, whitening, Z), field], 1)
