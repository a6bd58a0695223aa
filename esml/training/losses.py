"""Loss terms: deviations of operators, observables and excited states from labels.

Excited states are compared without differentiating an eigenvector. The amplitudes of the label are
expressed in the predicted orbitals, and the predicted response matrices are contracted with them:

    T_sᵀ (A+B) T_t   and   U_sᵀ (A−B) U_t ,   T = X + Y ,   U = X − Y .

Both diagonals should equal the label energies. Fitting only their mean does not suffice: scaling
T → cT and U → U/c lowers the solved energy √(TᵀA₊T · UᵀA₋U), A± = A ± B, below the mean. The
off-diagonal elements should equal ½ (ω_s + ω_t) T_sᵀU_t, which is zero for orthogonal label states
(projected states are orthogonal except for the part outside the minimal basis). If all of this
holds, the label states are eigenstates of the prediction. No state is matched by its index.

``exact_energies`` instead solves for the states, matches them to the labels by overlap, and
compares energies, with Hellmann–Feynman gradients.

Shapes: M molecules, S states, n basis functions, o occupied and v virtual orbitals. Energies are in
eV.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from esml.model.graph import Graph
from esml.model.hamiltonian import Operators
from esml.physics import orbitals as orbital_properties
from esml.physics.basis import OrbitalLayout
from esml.physics.excitations import Excitations, singlets_and_triplets
from esml.physics.orbitals import Orbitals, diagonalize
from esml.physics.response import Response, ResponseMatrix
from esml.physics.solvers.davidson import ConvergenceError
from esml.training.targets import StateTargets, Targets

N_VIRTUAL = 3
"""Number of lowest virtual orbitals whose energies are compared, besides all occupied ones."""

LEAST_OVERLAP = 0.5
"""Smallest norm that a label state must keep in the predicted orbitals to be compared."""

LEAST_MATCH = 0.6
"""Smallest overlap at which a solved state counts as the label state."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of ``values`` where ``mask`` is true; zero if it is true nowhere."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def huber(x: Tensor, width: float) -> Tensor:
    """Huber function, x² / (2 width) near zero and |x| − width/2 beyond, robust to outliers."""
    size = x.abs()
    return torch.where(size < width, 0.5 * size.square() / width, size - 0.5 * width)


def project(orbitals: Orbitals, states: StateTargets) -> tuple[Tensor, Tensor, Tensor]:
    """Express label states in the predicted orbitals.

    Parameters
    ----------
    orbitals:
        Predicted orbitals of M molecules.
    states:
        Label states in the orthonormal basis.

    Returns
    -------
    T and U (M, S, o, v), scaled to TᵀU = 1, and a mask (M, S) of the states that keep enough of
    their norm (``LEAST_OVERLAP``) to be used.
    """
    plus, minus = (
        torch.einsum("mui,msuv,mva->msia", orbitals.occupied, density, orbitals.virtual)
        for density in (states.plus, states.minus)
    )
    norm = (plus * minus).sum((2, 3))
    usable = states.mask & (norm > LEAST_OVERLAP)
    scale = torch.where(usable, norm, 1.0).rsqrt()[:, :, None, None]
    return plus * scale, minus * scale, usable


def rayleigh(
    response: Response, states: StateTargets, matrices: tuple[ResponseMatrix, ResponseMatrix]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Contract the predicted response with the label states.

    Parameters
    ----------
    response:
        The predicted response.
    states:
        Label states of one multiplicity.
    matrices:
        The matrices for T and for U: A+B and A−B for singlets, the triplet A twice for triplets.

    Returns
    -------
    ``energies`` (scalar, eV), the Huber loss of the diagonals; ``alignment`` (scalar, eV²), the
    mean square coupling between label states; T and the mask of usable states from ``project``.
    """
    plus, minus, usable = project(response.orbitals, states)
    shape = plus.flatten(2).shape
    upper = response.apply(plus, matrices[0]).reshape(shape)
    lower = response.apply(minus, matrices[1]).reshape(shape)
    overlap = plus.flatten(2) @ minus.flatten(2).mT
    overlap = 0.5 * (overlap + overlap.mT)
    mean = 0.5 * (states.energies[:, :, None] + states.energies[:, None, :])
    pair = usable[:, :, None] & usable[:, None, :]
    apart = ~torch.eye(pair.shape[1], dtype=torch.bool, device=pair.device)
    energies = alignment = plus.new_zeros(())
    for left, right in ((plus, upper), (minus, lower)):
        coupled = left.flatten(2) @ right.mT
        coupled = 0.5 * (coupled + coupled.mT)
        diagonal = torch.diagonal(coupled, dim1=1, dim2=2)
        energies = energies + 0.5 * masked_mean(huber(diagonal - states.energies, 0.1), usable)
        deviation = (coupled - mean * overlap).square()
        alignment = alignment + 0.5 * masked_mean(deviation, pair & apart)
    return energies, alignment, plus, usable


def match(found: Excitations, orbitals: Orbitals, states: StateTargets) -> Tensor:
    """Find the label states among solved states.

    The assignment is one to one and maximizes the sum of |½ (T_foundᵀ U + U_foundᵀ T)|.

    Returns
    -------
    (M, S) index of the solved state for each label state, −1 if no overlap reaches
    ``LEAST_MATCH``.
    """
    plus, minus, usable = project(orbitals, states)
    with torch.no_grad():
        overlap = 0.5 * (
            (found.X + found.Y).flatten(2) @ minus.flatten(2).mT
            + (found.X - found.Y).flatten(2) @ plus.flatten(2).mT
        )
        overlap = overlap.abs() * found.mask[:, :, None] * usable[:, None, :]
    result = torch.full(states.mask.shape, -1, dtype=torch.int64)
    for m, table in enumerate(overlap.cpu().numpy()):
        rows, columns = linear_sum_assignment(-table)
        for row, column in zip(rows, columns, strict=True):
            if table[row, column] >= LEAST_MATCH:
                result[m, column] = row
    return result.to(states.mask.device)


def exact_energies(found: Excitations, orbitals: Orbitals, states: StateTargets) -> Tensor:
    """Return the Huber loss (eV) of solved energies against the label states they match."""
    index = match(found, orbitals, states)
    energies = torch.nan_to_num(found.energies).gather(1, index.clamp(min=0))
    return masked_mean(huber(energies - states.energies, 0.1), index >= 0)


EXCITATIONS = ("energies", "alignment", "transition_dipoles", "exact_energies")
"""Names of the loss terms that need the response."""


def losses(
    operators: Operators,
    graph: Graph,
    targets: Targets,
    wanted: Collection[str],
) -> dict[str, Tensor]:
    """Compute the loss terms.

    Parameters
    ----------
    operators:
        Operators that the network predicts for M molecules, in double precision.
    graph:
        Their structures.
    targets:
        Their labels.
    wanted:
        Names of the terms to compute, from ``LossWeights``.

    Returns
    -------
    The terms by name, unweighted scalars in the units that ``LossWeights`` gives.
    """
    layout = operators.layout
    orbitals = diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
    terms = _ground_state(operators, orbitals, graph, targets, wanted)
    if any(name in wanted for name in EXCITATIONS):
        found = _excitations(operators, orbitals, targets, "exact_energies" in wanted)
        terms |= {name: term for name, term in found.items() if name in wanted}
    return terms


def _ground_state(
    operators: Operators,
    orbitals: Orbitals,
    graph: Graph,
    targets: Targets,
    wanted: Collection[str],
) -> dict[str, Tensor]:
    layout = operators.layout
    inside = layout.orbital_mask[:, :, None] & layout.orbital_mask[:, None, :]
    # Most elements are tiny, between distant orbitals: average per row, not per element.
    rows = layout.orbital_mask.sum()

    def elements(deviation: Tensor) -> Tensor:
        return torch.where(inside, deviation, 0.0).sum() / rows

    terms: dict[str, Tensor] = {}
    if "hamiltonian" in wanted:
        terms["hamiltonian"] = elements((operators.hamiltonian - targets.hamiltonian).square())
    if "orbitals" in wanted:
        places = torch.arange(layout.n_max, device=inside.device)
        learned = places < torch.minimum(layout.n_occupied + N_VIRTUAL, layout.n_orbitals)[:, None]
        deviation = huber(orbitals.energies - targets.orbital_energies, 0.1)
        terms["orbitals"] = masked_mean(deviation, learned)
    if "levels" in wanted:
        terms["levels"] = _levels(orbitals, layout, targets)
    if "dipole_operator" in wanted:
        deviation = (operators.dipole - targets.dipole_operator).square().sum(1)
        terms["dipole_operator"] = elements(deviation)
    if "charges" in wanted:
        charges = orbital_properties.charges(orbitals, layout) - targets.charges
        terms["charges"] = masked_mean(charges.square(), layout.atom_mask)
    if "dipole" in wanted:
        positions = graph.positions.double()
        dipole = orbital_properties.dipole(orbitals, layout, positions, operators.dipole)
        terms["dipole"] = (dipole - targets.dipole).square().sum(1).mean()
    return terms


def _levels(orbitals: Orbitals, layout: OrbitalLayout, targets: Targets) -> Tensor:
    """Return the Huber loss (eV) of HOMO energy and gap, which ``orbitals`` counts as two of many.

    A molecule without a virtual orbital has no gap.
    """
    homo = layout.n_occupied[:, None] - 1
    lumo = (homo + 1).clamp(max=layout.n_max - 1)

    def homo_and_gap(energies: Tensor) -> tuple[Tensor, Tensor]:
        known = torch.nan_to_num(energies)
        top = known.gather(1, homo)
        return top, known.gather(1, lumo) - top

    top, gap = homo_and_gap(orbitals.energies)
    label_top, label_gap = homo_and_gap(targets.orbital_energies)
    has_gap = layout.n_orbitals[:, None] > layout.n_occupied[:, None]
    return 0.5 * (
        huber(top - label_top, 0.1).mean() + masked_mean(huber(gap - label_gap, 0.1), has_gap)
    )


def _excitations(
    operators: Operators, orbitals: Orbitals, targets: Targets, exact: bool
) -> dict[str, Tensor]:
    response = Response(orbitals, operators.interaction, operators.layout)
    s_energies, s_alignment, plus, usable = rayleigh(response, targets.singlets, ("A+B", "A-B"))
    t_energies, t_alignment, _, _ = rayleigh(response, targets.triplets, ("triplet", "triplet"))
    moments = torch.einsum(
        "mui,mxuv,mva->mxia", orbitals.occupied, operators.dipole, orbitals.virtual
    )
    transition = 2.0**0.5 * torch.einsum("msia,mxia->msx", plus, moments)
    deviation = (transition - targets.singlets.dipoles).square().sum(2)
    terms = {
        "energies": 0.5 * (s_energies + t_energies),
        "alignment": 0.5 * (s_alignment + t_alignment),
        "transition_dipoles": masked_mean(deviation, usable),
    }
    if exact:
        terms["exact_energies"] = _solved(response, operators, orbitals, targets)
    return terms


def _solved(
    response: Response, operators: Operators, orbitals: Orbitals, targets: Targets
) -> Tensor:
    """Return ``exact_energies`` of both multiplicities; zero for a batch that cannot be solved.

    That happens early in a run, when a ground state is close to an instability.
    """
    # Single precision is enough for the iterations: their error is far below the labels' error.
    single = torch.float32
    n_singlets = targets.singlets.mask.shape[1] + 4
    n_triplets = targets.triplets.mask.shape[1] + 4
    try:
        found = singlets_and_triplets(response, operators.dipole, n_singlets, n_triplets, single)
    except (ConvergenceError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        return operators.hamiltonian.new_zeros(())
    return 0.5 * (
        exact_energies(found[0], orbitals, targets.singlets)
        + exact_energies(found[1], orbitals, targets.triplets)
    )
