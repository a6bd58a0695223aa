"""Local charge neutrality: the mean field of metals, as shifts of levels.

A metal screens charges within about one atom, so populations hardly vary from site to site, while
levels do. If the hopping of a Hamiltonian is right but its levels are not, shifts λ of the levels
of groups of orbitals (such as the d orbitals of each atom) correct it: those that bring the
populations q to the targets t. Neither levels nor targets are exact, so by default the shifts
minimize

    Σ_a (q_a(λ) − t_a)² / δq² + Σ_a λ_a² / δλ² .

The response of populations is exact. With occupations f and U^a_nm = Σ_{μ∈a} C*_μn C_μm,

    χ_ab = 2 Σ_k w Σ_nm (f_n − f_m)/(ε_n − ε_m) U^a_nm U^b*_nm + (∂q_a/∂μ) (∂q_b/∂μ) / (∂N/∂μ) ,

where the second term comes from the change of the Fermi level μ.
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
"""As long as a step is shorter than this share of the one before, the response is reused: it costs
more than populations."""
SETTLED = 1e-8
"""eV; a step below this ends the search, unless another threshold is given."""
DEGENERATE = 1e-6
"""eV; for states closer than this, the derivative of the occupation replaces the quotient."""


class NeutralityError(RuntimeError):
    """Newton's method did not find the shifts."""


@dataclass(frozen=True)
class ShiftedHamiltonian:
    """A Hamiltonian and the shifts added to its levels."""

    hamiltonian: PeriodicHamiltonian  # without the shifts
    levels: Tensor  # (n,) shift of each level, eV

    @property
    def n_orbitals(self) -> int:
        """Number of orbitals of the cell."""
        return self.hamiltonian.n_orbitals

    def at(self, k_points: Tensor) -> Tensor:
        """Return H(k), (K, n, n) complex and exactly Hermitian, at ``k_points`` (K, 3)."""
        h = self.hamiltonian.at(k_points)
        return h + torch.diag(self.levels).to(h.dtype)


def shifted(
    hamiltonian: PeriodicHamiltonian, groups: Sequence[Tensor], shifts: Tensor
) -> ShiftedHamiltonian:
    """Shift the levels of groups of orbitals.

    Parameters
    ----------
    hamiltonian:
        The Hamiltonian to start from.
    groups:
        Orbitals of each group, by index.
    shifts:
        Shift of each group, eV.

    Returns
    -------
    A Hamiltonian with the shifted levels.
    """
    levels = torch.zeros(hamiltonian.n_orbitals, dtype=torch.float64)
    for group, shift in zip(groups, shifts, strict=True):
        levels = levels.index_add(0, group, shift.to(levels.dtype).expand(len(group)))
    return ShiftedHamiltonian(hamiltonian, levels)


def population_response(bands: Bands, groups: Sequence[Tensor]) -> Tensor:
    """Return χ_ab (G, G): change of the electrons on group a with the level of group b, e/eV.

    The total number of electrons is fixed.
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
    """Return level shifts (G,), eV, that bring the populations of ``groups`` to ``targets``.

    Parameters
    ----------
    hamiltonian:
        The Hamiltonian, in an orthonormal basis.
    k_points:
        A mesh.
    n_electrons:
        Number of electrons of the cell.
    width:
        Width of the Fermi smearing, eV.
    groups:
        Indices of the orbitals of each group. The groups must not cover all orbitals, because a
        shift of all levels changes nothing.
    targets:
        (G,) wanted number of electrons on each group.
    population_error:
        δq, e: expected deviation from the targets.
    shift_error:
        δλ, eV: expected size of the shifts; None to reach the targets exactly.
    settled:
        eV; a Newton step below this ends the search. The remaining error is smaller still.

    Raises
    ------
    NeutralityError
        If Newton's method does not converge.
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
