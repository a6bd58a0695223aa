"""Excited states by linear response in the minimal basis.

With orbitals i, j occupied and a, b virtual, and the integrals K, J, K_T of
:class:`esml.physics.interaction.Interaction`,

    singlets        A = Δ + 2K(ia, jb) − J(ij, ab) ,   B = 2K(ia, jb) − J(ib, ja)
                    A X + B Y = ω X ,   B X + A Y = −ω Y ,   XᵀX − YᵀY = 1
    triplets (TDA)  A = Δ + 2K_T(ia, jb) − J(ij, ab) ,   A X = ω X ,   XᵀX = 1

    Δ(ia, jb) = F'_ab δ_ij − F_ij δ_ab ,   F'_vv = (1 + σ) F_vv + C_vᵀ D C_v ,

where σ and D, the relaxation of the virtual orbitals, also belong to the interaction.

Instability: a closed shell that is not a minimum. A + B and A − B are the curvatures of the
ground-state energy along real and imaginary rotations of the orbitals. If one of them has a
negative eigenvalue −δ, mixing these orbitals lowers the energy of the closed shell, and some
ω² ≤ 0. But a predicted gap has an error; up to δ = ``Strategy.saddle``, the closed shell is a
minimum to within that error. For such a molecule, singlets come from A alone, B = Y = 0
(Tamm–Dancoff); they vary smoothly across the instability (Hirata and Head-Gordon, Chem. Phys. Lett.
314, 291, 1999). At larger δ, or if A itself has an eigenvalue below zero, there are no singlets. A
triplet below the closed shell, at ω = −δ, affects triplets only: singlets do not mix with it, and
full linear response still gives them.

Shape letters: M molecules, S states, n orbitals, o and v occupied and virtual orbitals (padded),
K atoms. Energies in eV, transition dipoles in e·bohr.

Gradients. The eigenvalue problem is solved without them. If the response carries gradients, the
energy is then evaluated again with X and Y held fixed, as the functional

    ω = ½ [Tᵀ(A + B)T + Uᵀ(A − B)U] ,   T = X + Y ,   U = X − Y ,   TᵀU = 1 ,

which is stationary in T and U. Its gradient with respect to the Hamiltonian and the interaction is
therefore the exact gradient of ω. It is finite for degenerate states, too; as always, only
symmetric functions of these, such as their sum, have a derivative.

:class:`esml.physics.solvers.problem.Problem` finds the amplitudes. For small molecules it builds
and diagonalizes the matrices; for others it iterates without building them
(:mod:`esml.physics.solvers.davidson`), in single precision on request. Because ω is stationary and
evaluated in the precision of the orbitals, its error is quadratic in that of the amplitudes: below
1e-6 eV for iterations in single and below 1e-10 eV in double precision.

Transition dipoles and oscillator strengths are *not* stationary. Their gradient holds X and Y
fixed: it includes the dipole operator, the orbitals and ω, but not the response of the amplitudes.
Rotatory strengths (:mod:`esml.physics.optical_activity`) carry no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor

from esml.physics.optical_activity import rotatory_strengths
from esml.physics.orbitals import Orbitals, stack_times
from esml.physics.response import Response, to_basis
from esml.physics.solvers.problem import Problem
from esml.physics.strategy import DEFAULT, Strategy
from esml.units import HARTREE


class InstabilityError(ValueError):
    """The closed-shell ground state is not a minimum, so it has no real excitation energies."""


@dataclass(frozen=True)
class Excitations:
    """Lowest excited states of a batch, ascending in energy.

    Fields of shape (M, S, …) are properties of states, those of shape (M,) properties of molecules.

    A molecule has ``n_available`` = o·v states. Beyond these, and for all singlets of a molecule
    that gets none (``given`` is False), energies are nan and everything else is zero.

    ``stable`` says whether the closed-shell ground state is a minimum with respect to the orbital
    rotations that make up the states. For singlets, A − B and A + B must be positive definite:
    otherwise some ω² ≤ 0, an excitation energy is imaginary, and mixing these orbitals gives a
    lower ground state than the one the response was built on. For triplets (TDA), the lowest energy
    must be positive: otherwise a triplet lies below the closed shell, and the energies are still
    given. ``instability`` says how far the closed shell is from a minimum, and ``given`` whether it
    is near enough for an answer (see the docstring of the module).
    """

    energies: Tensor  # (M, S) eV
    X: Tensor  # (M, S, o, v) excitation amplitudes, no gradient
    Y: Tensor  # (M, S, o, v) de-excitation amplitudes, no gradient; zero for triplets
    transition_dipoles: Tensor  # (M, S, 3) e·bohr, sign arbitrary; zero for triplets
    oscillator_strengths: Tensor  # (M, S) zero for triplets
    rotatory_strengths: Tensor  # (M, S) 10⁻⁴⁰ cgs; nan without positions, zero for triplets
    stable: Tensor  # (M,) bool
    n_available: Tensor  # (M,)
    instability: Tensor  # (M,) δ, minus the lowest negative curvature, eV; 0 if stable
    given: Tensor  # (M,) bool

    @property
    def doubtful(self) -> Tensor:
        """(M,) True where there is an answer although the closed shell is not a minimum."""
        return self.given & ~self.stable

    @property
    def mask(self) -> Tensor:
        """(M, S) True where there is a state."""
        return self.energies.isfinite()

    def transition_density(self, orbitals: Orbitals) -> Tensor:
        """Return D = C_o (X + Y) C_vᵀ (M, S, n, n), rows hole and columns electron.

        Its singular vectors are the natural transition orbitals; the transition dipole is
        √2 tr(Dᵀ r).
        """
        density = to_basis(orbitals.occupied, self.X + self.Y, orbitals.virtual)
        return density.transpose(1, 2)

    def require_stable(self) -> None:
        """Raise :class:`InstabilityError` naming the molecules (by index) that are not stable."""
        if bool(self.stable.all()):
            return
        unstable = ", ".join(str(int(m)) for m in (~self.stable).nonzero()[:, 0])
        raise InstabilityError(
            f"the closed-shell ground state is unstable for molecule(s) {unstable} of the batch"
        )


def singlets(
    response: Response,
    dipole_operator: Tensor,
    n_states: int | None = None,
    precision: torch.dtype | None = None,
    energy_window: float | None = None,
    strategy: Strategy = DEFAULT,
    positions: Tensor | None = None,
) -> Excitations:
    """Return the lowest singlets by full linear response.

    Transition dipoles and oscillator strengths follow from X + Y and the energies,

        μ = √2 Σ_ia (X + Y)_ia ⟨i|r|a⟩ ,   f = ⅔ ω |μ|²   (atomic units).

    A molecule whose ground state is unstable is marked (see :class:`Excitations`), gets the states
    of A or none, and does not disturb the others. The docstring of the module explains gradients.

    Parameters
    ----------
    response:
        The matrices of a batch.
    dipole_operator:
        (M, 3, n, n) ⟨μ|r|ν⟩ in bohr; its origin does not matter.
    n_states:
        Number of states; all if None.
    precision:
        Precision of the iterations, if any; that of ``response`` if None.
    energy_window:
        Find all states below this energy (eV), however many, instead of ``n_states``.
    strategy:
        Thresholds of the solvers.
    positions:
        (N, 3) positions of the atoms, Å; rotatory strengths need them.

    Returns
    -------
    The states, with exact gradients of the energies where ``response`` carries gradients.

    Raises
    ------
    ValueError
        If ``n_states`` is below 1.
    esml.physics.solvers.davidson.ConvergenceError
        If iterations end before all states are found.
    """
    problem = Problem(response, precision, strategy)
    return _singlets(problem, dipole_operator, n_states, energy_window, positions)


def triplets(
    response: Response,
    n_states: int | None = None,
    precision: torch.dtype | None = None,
    energy_window: float | None = None,
    strategy: Strategy = DEFAULT,
) -> Excitations:
    """Return the lowest triplets in the Tamm–Dancoff approximation.

    Transitions from a singlet ground state are spin-forbidden: dipoles and strengths are zero.

    Parameters
    ----------
    response:
        The matrices of a batch.
    n_states, precision, energy_window, strategy:
        As for :func:`singlets`.

    Returns
    -------
    The states, with exact gradients of the energies where ``response`` carries gradients.

    Raises
    ------
    ValueError
        If ``n_states`` is below 1.
    esml.physics.solvers.davidson.ConvergenceError
        If iterations end before all states are found.
    """
    return _triplets(Problem(response, precision, strategy), n_states, energy_window)


def singlets_and_triplets(
    response: Response,
    dipole_operator: Tensor,
    n_singlets: int | None = None,
    n_triplets: int | None = None,
    precision: torch.dtype | None = None,
    energy_window: float | None = None,
    strategy: Strategy = DEFAULT,
    positions: Tensor | None = None,
) -> tuple[Excitations, Excitations]:
    """Return the lowest singlets and triplets, in less time than two separate calls.

    Parameters
    ----------
    response, dipole_operator, precision, energy_window, strategy, positions:
        As for :func:`singlets`.
    n_singlets, n_triplets:
        Number of each; all if None.

    Returns
    -------
    The singlets and the triplets.

    Raises
    ------
    ValueError
        If a number of states is below 1.
    esml.physics.solvers.davidson.ConvergenceError
        If iterations end before all states are found.
    """
    problem = Problem(response, precision, strategy)
    return (
        _singlets(problem, dipole_operator, n_singlets, energy_window, positions),
        _triplets(problem, n_triplets, energy_window),
    )


def _singlets(
    problem: Problem,
    dipole_operator: Tensor,
    n_states: int | None,
    energy_window: float | None,
    positions: Tensor | None,
) -> Excitations:
    response, orbitals = problem.response, problem.response.orbitals
    if energy_window is not None:
        solve = partial(
            _singlets, problem, dipole_operator, energy_window=None, positions=positions
        )
        return _all_below(solve, response, energy_window)
    n_states = _checked(response, n_states)
    found = problem.lowest("singlet", n_states)
    exists = _existing(response, n_states) & found.given[:, None]
    plus, minus = (_nonzero(x, exists) for x in (found.plus, found.minus))
    energies = found.energies
    if energies is None or response.requires_grad:
        energies = response.singlet_functional(plus, minus)
    half = stack_times(dipole_operator, orbitals.virtual)
    moments = orbitals.occupied.mT[:, None] @ half
    dipoles = 2.0**0.5 * plus.flatten(2) @ moments.flatten(2).mT
    rotatory = torch.full_like(energies, torch.nan, requires_grad=False)
    if positions is not None:
        rotatory = rotatory_strengths(response, dipole_operator, positions, energies, plus, minus)
    return Excitations(
        energies=torch.where(exists, energies, torch.nan),
        X=0.5 * (plus + minus),
        Y=0.5 * (plus - minus),
        transition_dipoles=dipoles,
        oscillator_strengths=2.0 / 3.0 * energies / HARTREE * dipoles.square().sum(2),
        rotatory_strengths=rotatory,
        stable=found.stable,
        n_available=response.n_available,
        instability=found.instability,
        given=found.given,
    )


def _triplets(problem: Problem, n_states: int | None, energy_window: float | None) -> Excitations:
    response = problem.response
    if energy_window is not None:
        return _all_below(partial(_triplets, problem, energy_window=None), response, energy_window)
    n_states = _checked(response, n_states)
    found = problem.lowest("triplet", n_states)
    exists = _existing(response, n_states)
    amplitudes = _nonzero(found.plus, exists)
    energies = found.energies
    if energies is None or response.requires_grad:
        energies = response.triplet_functional(amplitudes)
    instability = (-torch.where(exists, energies.detach(), 0.0)).amax(1).clamp(min=0.0)
    return Excitations(
        energies=torch.where(exists, energies, torch.nan),
        X=amplitudes,
        Y=torch.zeros_like(amplitudes),
        transition_dipoles=amplitudes.new_zeros((*energies.shape, 3)),
        oscillator_strengths=amplitudes.new_zeros(energies.shape),
        rotatory_strengths=amplitudes.new_zeros(energies.shape),
        stable=((energies.detach() > 0) | ~exists).all(1),
        n_available=response.n_available,
        instability=instability,
        given=instability <= problem.strategy.saddle,
    )


def _all_below(
    solve: Callable[[int], Excitations], response: Response, energy_window: float
) -> Excitations:
    """Return the states below ``energy_window``: find more and more until one lies above it."""
    with torch.no_grad():
        inside = (response.diagonal() < energy_window) & response.singles_mask
        n_states = 1 + int(inside.sum((1, 2)).max())
    most = max(1, int(response.n_available.max()))
    while True:
        found = solve(min(n_states, most))
        below = found.energies < energy_window
        reached = ~below.all(1) | (found.n_available <= n_states)
        if bool(reached.all()):
            break
        n_states *= 2
    count = int(below.sum(1).max())
    # Cut the fields of states, (M, S, …), but not those of molecules, (M,).
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    kept = {name: x[:, :count] for name, x in values.items() if x.dim() > 1}
    below = below[:, :count]
    shapes = {name: below.view(*below.shape, *[1] * (x.dim() - 2)) for name, x in kept.items()}
    cut = {name: torch.where(shapes[name], x, 0.0) for name, x in kept.items()}
    cut["energies"] = torch.where(below, kept["energies"], torch.nan)
    return replace(found, **cut)


def _nonzero(amplitudes: Tensor, exists: Tensor) -> Tensor:
    """Return ``amplitudes`` (M, S, o, v), set to zero where no state ``exists`` (M, S)."""
    return torch.where(exists[:, :, None, None], amplitudes, 0.0)


def _existing(response: Response, n_states: int) -> Tensor:
    """Return (M, S), True where the molecule has that many states."""
    states = torch.arange(n_states, device=response.n_available.device)
    return states < response.n_available[:, None]


def _checked(response: Response, n_states: int | None) -> int:
    """Return ``n_states``, or if None the number of all states. ValueError if below one."""
    if n_states is None:
        return int(response.n_available.max())
    if n_states < 1:
        raise ValueError(f"n_states must be at least 1, got {n_states}")
    return n_states
