"""Local charge neutrality: the mean field of metals, as shifts of levels.

Charges in a metal are screened within an atom's reach, so populations hardly vary from site to site
while levels do. A Hamiltonian whose hopping is right and whose levels are not is mended by the
shifts λ of groups of orbitals (such as the d orbitals of each atom) for which the populations q are
the targets t, or, as neither is exact, by those that make

    Σ_a (q_a(λ) − t_a)² / δq² + Σ_a λ_a² / δλ²

least. The response of populations is exact: with occupations f and U^a_nm = Σ_{μ∈a} C*_μn C_μm

    χ_ab = 2 Σ_k w Σ_nm (f_n − f_m)/(ε_n − ε_m) U^a_nm U^b*_nm + (∂q_a/∂μ) (∂q_b/∂μ) / (∂N/∂μ) ,

the second part because the Fermi level μ follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.crystals.bands import AT_A_TIME, Bands
from esml.physics.crystals.bloch import KPoints, PeriodicHamiltonian
from esml.physics.crystals.filling import occupations

MOST_STEPS = 30
LARGEST_STEP = 0.5
"""eV; longer Newton steps are cut."""
SHRINKS = 0.3
"""While a step is shorter than this part of the one before, the response is kept, as it costs more
than populations."""
SETTLED = 1e-8
"""eV; a step below ends the search, unless another bound is given."""
DEGENERATE = 1e-6
"""eV; states nearer than this respond by the derivative of their occupation."""


class NeutralityError(RuntimeError):
    """Shifts that were not found, said in one sentence."""


@dataclass(frozen=True)
class ShiftedHamiltonian:
    """A Hamiltonian and what is added to its levels."""

    hamiltonian: PeriodicHamiltonian  # without the shifts
    levels: Tensor  # (n,) eV

    @property
    def n_orbitals(self) -> int:
        """Of the cell."""
        return self.hamiltonian.n_orbitals

    def at(self, k_points: Tensor) -> Tensor:
        """H(k), (K, n, n) complex and exactly Hermitian, at ``k_points`` (K, 3)."""
        h = self.hamiltonian.at(k_points)
        return h + torch.diag(self.levels).to(h.dtype)


def shifted(
    hamiltonian: PeriodicHamiltonian, groups: Sequence[Tensor], shifts: Tensor
) -> ShiftedHamiltonian:
    """Move the levels of groups of orbitals.

    Parameters
    ----------
    hamiltonian:
        The Hamiltonian to start from.
    groups:
        Orbitals of each group, by index.
    shifts:
        One for each group, eV.

    Returns
    -------
    A Hamiltonian with the shifted levels.
    """
    levels = torch.zeros(hamiltonian.n_orbitals, dtype=torch.float64)
    for group, shift in zip(groups, shifts, strict=True):
        levels = levels.index_add(0, group, shift.to(levels.dtype).expand(len(group)))
    return ShiftedHamiltonian(hamiltonian, levels)


def population_response(bands: Bands, groups: Sequence[Tensor]) -> Tensor:
    """(G, G) χ_ab: change of the electrons on group a with the level of group b, e/eV.

    The number of electrons is kept.
    """
    f = occupations(bands.energies, bands.fermi, bands.width)
    slope = -f * (1.0 - f) / bands.width
    G, n = len(groups), bands.energies.shape[1]
    fixed = torch.zeros(G, G, dtype=torch.float64)
    some = max(1, AT_A_TIME // (G * n))
    for k, weight in enumerate(bands.k_points.weights.tolist()):
        energies, coefficients = bands.energies[k], bands.coefficients[k]
        for rows in torch.arange(n).split(some):
            apart = energies[rows, None] - energies
            near = apart.abs() < DEGENERATE
            ratio = (f[k, rows, None] - f[k]) / torch.where(near, 1.0, apart)
            ratio = torch.where(near, 0.5 * (slope[k, rows, None] + slope[k]), ratio)
            pairs = torch.stack(
                [coefficients[g][:, rows].mH @ coefficients[g] for g in groups]
            )  # (G, rows, n)
            weighted = (pairs * ratio).flatten(1)
            fixed += 2.0 * weight * (weighted @ pairs.flatten(1).mH).real
    share = -2.0 * bands.k_points.weights[:, None] * slope
    by_level = torch.stack([(share * bands.weights_of(g)).sum() for g in groups])
    response: Tensor = fixed + by_level[:, None] * by_level[None, :] / share.sum()
    return response


def neutral_shifts(
    hamiltonian: PeriodicHamiltonian,
    k_points: KPoints,
    n_electrons: float,
    width: float,
    groups: Sequence[Tensor],
    targets: Tensor,
    population_error: float = 0.02,
    shift_error: float | None = 0.1,
    settled: float = SETTLED,
) -> Tensor:
    """(G,) eV: shifts of the levels of ``groups`` that bring their populations to ``targets``.

    Parameters
    ----------
    hamiltonian:
        In an orthonormal basis.
    k_points:
        A mesh.
    n_electrons:
        Electrons of the cell.
    width:
        Of the Fermi smearing, eV.
    groups:
        Places of the orbitals of each group; together not all orbitals, as a shift of all changes
        nothing.
    targets:
        (G,) electrons.
    population_error:
        δq, e: how far targets may be missed.
    shift_error:
        δλ, eV: how large shifts are expected to be; None for populations exactly as the targets.
    settled:
        eV; a Newton step below ends the search. What is left is smaller still.

    Raises
    ------
    NeutralityError
        When Newton's method does not settle.
    """
    shifts = torch.zeros(len(groups), dtype=torch.float64)
    response, last = None, math.inf
    for _ in range(MOST_STEPS):
        moved = shifted(hamiltonian, groups, shifts)
        bands = Bands.of(moved, k_points, n_electrons, width)
        if response is None:
            response = population_response(bands, groups)
        off = bands.populations(groups) - targets
        if shift_error is None:
            step = -torch.linalg.solve(response, off)
        else:
            stiffness = torch.eye(len(groups)).to(response) / shift_error**2
            curvature = response.T @ response / population_error**2 + stiffness
            slope = response.T @ off / population_error**2 + shifts / shift_error**2
            step = -torch.linalg.solve(curvature, slope)
        step = step.clamp(-LARGEST_STEP, LARGEST_STEP)
        shifts += step
        length = float(step.abs().max())
        if length < settled:
            return shifts
        if length > SHRINKS * last:
            response = None
        last = length
    raise NeutralityError(
        f"populations did not reach {[round(float(t), 2) for t in targets]} by shifts of levels in "
        f"{MOST_STEPS} steps: expected targets near {[round(float(q), 2) for q in off + targets]}; "
        "give others or a smaller shift_error"
    )
