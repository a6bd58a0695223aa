"""Tables of a ``TwoCentreModel`` by least squares of H(R): seconds, and a start for training.

An integral between elements i and j is a sum of four parts, one that all pairs share, one of i, one
of j and one of the pair, each with a stiffer ridge than the one before, so that pairs seldom or
never seen follow from their elements:

    c_ij = c⁰ + c¹_i + c²_j + c³_ij ,      least Σ w |V(r) − V_ref|² + Σ_p ρ_p |c^p|² .

Reference integrals are the projections of the blocks onto the ten matrices of their direction; what
is not axial in a block (three-centre terms) is lost. Radial functions are whitened by their
covariance over all pairs, so that the ridges mean the same for each.

In crystals of ions the charges are fitted by what their potential does to levels, which is linear
in them. The zero of energy of such a crystal is the top of its valence bands, wherever in the cell
that is, so each crystal has a shift of its own in the fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from esml.io.records import CrystalRecord
from esml.model.crystals.neighbourhood import Neighbourhood
from esml.model.crystals.periodic_pairs import PeriodicPairs
from esml.model.crystals.two_centre_model import SHELL_OF_SLOT, TwoCentreModel
from esml.physics.crystals.bloch import NEAR
from esml.physics.crystals.two_centre import equal_shared

HOPPING_RIDGES = (1e-4, 1e-3, 1e-2)
FIELD_RIDGES = (1e-3, 5e-3, 5e-2)
"""ρ of what all share, of an element, and of a pair, against the mean square of the features."""
LEVEL_RIDGE = 1e-9
CHARGE_RIDGE = 1.0
"""ρ of charges, against the mean square of what they do to levels."""
TOUCHING = 2.5
"""Å, about where atoms touch."""
DECAY = 3.0
"""Å; weights fall as e^{−r/3 Å}, as hopping does."""
SPLIT_WEIGHT = 0.3
"""Of a pair whose block is divided between equally near images."""


@dataclass(frozen=True)
class _Crystal:
    """What one record gives to the fit."""

    near: Neighbourhood
    onsite: Tensor  # (N, b, b) eV
    blocks: Tensor  # (E, b, b) eV
    known: Tensor  # (E,) 1, SPLIT_WEIGHT, or 0 where the mesh holds another image


def _multiplicities(record: CrystalRecord, pairs: PeriodicPairs) -> Tensor:
    """(E,) images as near as the pair's own on the supercell of the mesh; 0 where one is nearer."""
    box = record.divisions.astype(int)[:, None] * record.cell
    axis = np.arange(-2, 3)
    shifts = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3) @ box
    apart = np.linalg.norm(pairs.vectors.numpy()[:, None] + shifts, axis=-1)
    nearest = apart.min(1)
    ties = (apart < nearest[:, None] + NEAR).sum(1)
    return torch.as_tensor(np.where(pairs.distances.numpy() < nearest + NEAR, ties, 0))


def _crystal(record: CrystalRecord, model: TwoCentreModel) -> _Crystal:
    near = model.neighbourhood(record.numbers.tolist(), record.cell, record.positions)
    pairs, h = near.pairs, record.hamiltonian
    N, b = len(record.numbers), model.n_orbitals
    blocks = h.blocks.view(-1, N, b, N, b).transpose(2, 3)
    place = {tuple(image): i for i, image in enumerate(h.images.tolist())}
    ties = _multiplicities(record, pairs)
    index = torch.tensor([place.get(tuple(image), -1) for image in pairs.images.tolist()])
    known = torch.where(ties == 1, 1.0, SPLIT_WEIGHT) * ((ties > 0) & (index >= 0))
    found = blocks[index.clamp(min=0), pairs.first, pairs.second] * ties[:, None, None]
    atoms = torch.arange(N)
    return _Crystal(
        near=near,
        onsite=blocks[place[0, 0, 0], atoms, atoms],
        blocks=found,
        known=known.to(found.dtype),
    )


def _parts(one: Tensor, other: Tensor, Z: int) -> Tensor:
    """(E, 4) places of the four parts of c for pairs of elements, among 1 + 2Z + Z²."""
    return torch.stack(
        [torch.zeros_like(one), 1 + one, 1 + Z + other, 1 + 2 * Z + one * Z + other], 1
    )


def _ridges(ridges: tuple[float, float, float], Z: int) -> Tensor:
    """(1 + 2Z + Z²,) ridge of each part."""
    shared, element, pair = ridges
    return torch.tensor([shared] + [element] * (2 * Z) + [pair] * (Z * Z)).double()


def tables(parts: Tensor, Z: int) -> Tensor:
    """(Z, Z, ...) sums of the four parts (1 + 2Z + Z², ...)."""
    one, other = torch.meshgrid(torch.arange(Z), torch.arange(Z), indexing="ij")
    total = parts[_parts(one.flatten(), other.flatten(), Z)].sum(1)
    return total.view(Z, Z, *total.shape[1:])


def solve(design: Tensor, targets: Tensor, ridge: Tensor) -> Tensor:
    """Ridge regression through the smaller of the two normal matrices; ``ridge`` (unknowns,)."""
    scaled = design / ridge.sqrt()
    rows, unknowns = scaled.shape
    if rows < unknowns:
        gram = scaled @ scaled.T + torch.eye(rows).to(scaled)
        solution = scaled.T @ torch.linalg.solve(gram, targets)
    else:
        gram = scaled.T @ scaled + torch.eye(unknowns).to(scaled)
        solution = torch.linalg.solve(gram, scaled.T @ targets)
    result: Tensor = solution / ridge.sqrt()[:, None]
    return result


def whitening_of(
    nears: Sequence[Neighbourhood], decay: float = math.inf, smallest: float = 1e-10
) -> Tensor:
    """(n, n) W with which radial functions ``basis @ W`` have covariance 1 over all pairs.

    Pairs weigh e^{−(r − 2.5 Å)/decay}, all alike without ``decay``. Variances below ``smallest``
    times the largest count as so large.
    """
    basis = torch.cat([near.basis for near in nears])
    weights = torch.exp(-(torch.cat([near.pairs.distances for near in nears]) - TOUCHING) / decay)
    covariance = (basis * weights[:, None]).T @ basis / weights.sum()
    values, vectors = torch.linalg.eigh(covariance)
    result: Tensor = vectors * values.clamp(min=smallest * float(values.max())) ** -0.5
    return result


def _fit_hopping(
    crystals: Sequence[_Crystal], Z: int, whitening: Tensor, stiffness: float
) -> Tensor:
    designs, targets = [], []
    for c in crystals:
        used = c.known > 0
        matrices = c.near.matrices[used]
        norms = matrices.square().sum((2, 3))
        integrals = torch.einsum("eaxy,exy->ea", matrices, c.blocks[used]) / norms
        weights = (c.known[used] * torch.exp(-c.near.pairs.distances[used] / DECAY)).sqrt()
        features = c.near.basis[used] @ whitening * weights[:, None]
        places = _parts(
            c.near.rows[c.near.pairs.first[used]], c.near.rows[c.near.pairs.second[used]], Z
        )
        design = features.new_zeros(len(features), 1 + 2 * Z + Z * Z, features.shape[1])
        for column in places.T:
            design[torch.arange(len(features)), column] = features
        designs.append(design)
        targets.append(integrals * weights[:, None])
    design, wanted = torch.cat(designs), torch.cat(targets)
    scale = stiffness * float(design[:, 0].square().sum()) / design.shape[2]
    ridge = (scale * _ridges(HOPPING_RIDGES, Z))[:, None].expand(design.shape[1:]).flatten()
    parts = solve(design.flatten(1), wanted, ridge).unflatten(0, design.shape[1:])
    return torch.einsum("mn,pna->pam", whitening, parts)


def moved_by_charges(near: Neighbourhood, whitening: Tensor, Z: int) -> Tensor:
    """(N, 1 + Z² n_radial) what the share κ and each coefficient of t do to levels, eV.

    t is a table (Z, Z, n_radial) in whitened functions whose lower triangle is zero
    (``Neighbourhood.charges``).
    """
    assert near.coulomb is not None
    one, other = near.rows[near.pairs.first], near.rows[near.pairs.second]
    place = near.pairs.first * Z * Z + torch.minimum(one, other) * Z + torch.maximum(one, other)
    sign = torch.sign(other - one).to(near.basis)
    N = len(near.rows)
    lost = torch.zeros(N * Z * Z, whitening.shape[1], dtype=torch.float64)
    lost.index_add_(0, place, 0.5 * sign[:, None] * (near.basis @ whitening))
    return -near.coulomb @ torch.cat([near.formal[:, None], lost.view(N, -1)], 1)


def _onsite_columns(
    crystals: Sequence[_Crystal], number: int, Z: int, whitening: Tensor
) -> tuple[Tensor, int]:
    """(N, L, b) what moves the levels of atoms, L columns; and how many of them are charges.

    Shells of each element; in crystals of ions then the zero of each crystal, the share of formal
    charges, and the charges of pairs.
    """
    c, b = crystals[number], crystals[number].onsite.shape[-1]
    shell = SHELL_OF_SLOT[:b]
    N = len(c.near.rows)
    levels = torch.zeros(N, Z, max(shell) + 1, b, dtype=torch.float64)
    for atom, element in enumerate(c.near.rows.tolist()):
        levels[atom, element, list(shell), torch.arange(b)] = 1.0
    columns = [levels.flatten(1, 2)]
    if c.near.coulomb is None:
        return columns[0], 0
    zeros = torch.zeros(N, len(crystals), b, dtype=torch.float64)
    zeros[:, number] = 1.0
    moved = moved_by_charges(c.near, whitening, Z)
    columns += [zeros, moved[:, :, None].expand(-1, -1, b)]
    return torch.cat(columns, 1), moved.shape[1] - 1


def _fit_onsite(
    crystals: Sequence[_Crystal], Z: int, whitening: Tensor, stiffness: float
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
    """Levels (Z, shells), parts of the field, share and charges, of all on-site blocks together."""
    b = crystals[0].onsite.shape[-1]
    rows, columns = torch.triu_indices(b, b)
    diagonal = torch.nonzero(rows == columns)[:, 0]
    n_parts = 1 + 2 * Z + Z * Z
    designs, targets = [], []
    for number, c in enumerate(crystals):
        matrices = c.near.matrices
        matrices = matrices * equal_shared(matrices)[:, None, None]
        matrices = (matrices + matrices.transpose(2, 3))[:, :, rows, columns]
        features = torch.einsum("en,eau->eanu", c.near.basis @ whitening, matrices)
        N, n_elements = len(c.near.rows), len(rows)
        field = features.new_zeros(N * n_parts, *features.shape[1:])
        places = _parts(c.near.rows[c.near.pairs.first], c.near.rows[c.near.pairs.second], Z)
        for column in places.T:
            field.index_add_(0, c.near.pairs.first * n_parts + column, features)
        moved, n_charges = _onsite_columns(crystals, number, Z, whitening)
        levels = moved.new_zeros(N, moved.shape[1], n_elements)
        levels[:, :, diagonal] = moved
        design = torch.cat([levels, field.view(N, -1, n_elements)], 1)
        designs.append(design.transpose(1, 2).flatten(0, 1))
        targets.append(c.onsite[:, rows, columns].flatten())
    design, wanted = torch.cat(designs), torch.cat(targets)[:, None]
    n_integrals = matrices.shape[1]
    per_part = n_integrals * whitening.shape[1]
    first = design.shape[1] - n_parts * per_part
    scale = stiffness * float(design[:, first : first + per_part].square().sum()) / per_part
    ridge = (scale * _ridges(FIELD_RIDGES, Z))[:, None].expand(-1, per_part).flatten()
    soft = torch.full((first,), LEVEL_RIDGE * len(wanted)).to(ridge)
    if n_charges:
        own = design[:, first - n_charges : first].square().sum(0).mean()
        soft[first - n_charges :] = stiffness * CHARGE_RIDGE * own
    solution = solve(design, wanted, torch.cat([soft, ridge]))[:, 0]
    parts = solution[first:].view(n_parts, n_integrals, -1)
    field = torch.einsum("mn,pan->pam", whitening, parts)
    n_shells = max(SHELL_OF_SLOT[:b]) + 1
    found = solution[: n_shells * Z].view(Z, n_shells)
    if not n_charges:
        return found, field, None
    table = solution[first - n_charges : first].view(Z, Z, -1) @ whitening.T
    table = table * torch.triu(torch.ones(Z, Z), diagonal=1).to(table)[:, :, None]
    return found, field, (solution[first - n_charges - 1], table)


@dataclass(frozen=True)
class TableParts:
    """Levels, and the four parts of hopping and crystal field, 1 + 2Z + Z² in all."""

    levels: Tensor  # (Z, shells) eV
    hopping: Tensor  # (1 + 2Z + Z², A, n_radial)
    field: Tensor  # (1 + 2Z + Z², A, n_radial)
    ions: tuple[Tensor, Tensor] | None  # share () and charges (Z, Z, n_radial) e; None in metals


@torch.no_grad()
def fitted_parts(
    model: TwoCentreModel, records: Sequence[CrystalRecord], stiffness: float = 1.0
) -> TableParts:
    """The least-squares fit of the records' H(R), as the parts whose sums are the tables.

    Arguments and exceptions as for ``fit_two_centre``; ``model`` is not changed.
    """
    if not records:
        raise ValueError("no crystal to fit to: expected at least one record; give some")
    crystals = [_crystal(record, model) for record in records]
    Z = model.n_rows
    whitening = whitening_of([c.near for c in crystals])
    hopping = _fit_hopping(crystals, Z, whitening, stiffness)
    levels, field, ions = _fit_onsite(crystals, Z, whitening, stiffness)
    return TableParts(levels, hopping, field, ions)


@torch.no_grad()
def fit_two_centre(
    model: TwoCentreModel, records: Sequence[CrystalRecord], stiffness: float = 1.0
) -> None:
    """Set the tables of ``model`` to the least-squares fit of the records' H(R).

    Pairs whose nearest image is another on the supercell of the record's k mesh do not count; what
    a coarse mesh adds to the blocks of nearer ones stays in them.

    Parameters
    ----------
    model:
        Its tables are overwritten.
    records:
        Crystals of its elements.
    stiffness:
        All ridges times this; small where records are many and exact.

    Raises
    ------
    ValueError
        Without records, or for an element that ``model`` does not know.
    """
    parts = fitted_parts(model, records, stiffness)
    Z = model.n_rows
    if parts.ions is not None:
        model.share.copy_(parts.ions[0])
        model.charges.copy_(parts.ions[1])
    model.levels.copy_(parts.levels)
    model.hopping.copy_(tables(parts.hopping, Z))
    model.field.copy_(tables(parts.field, Z))
