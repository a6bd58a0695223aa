"""Excited states by linear response in the minimal basis.

With orbitals i, j occupied and a, b virtual, and the integrals K, J, K_T of
:class:`esml.physics.interaction.Interaction`,

    singlets        A = Δ + 2K(ia, jb) − J(ij, ab) ,   B = 2K(ia, jb) − J(ib, ja)
                    A X + B Y = ω X ,   B X + A Y = −ω Y ,   XᵀX − YᵀY = 1
    triplets (TDA)  A = Δ + 2K_T(ia, jb) − J(ij, ab) ,   A X = ω X ,   XᵀX = 1

    Δ(ia, jb) = F'_ab δ_ij − F_ij δ_ab ,   F'_vv = (1 + σ) F_vv + C_vᵀ D C_v ,

where σ and D, the relaxation of the virtual orbitals, are the interaction's too.

Shape letters: M molecules, S states, n orbitals, o and v occupied and virtual orbitals (padded),
K atoms. Energies in eV, transition dipoles in e·bohr.

Gradients. The eigenvalue problem is solved without them. With X and Y held fixed the energy is then
evaluated once more as the functional

    ω = ½ [Tᵀ(A + B)T + Uᵀ(A − B)U] ,   T = X + Y ,   U = X − Y ,   TᵀU = 1 ,

which is stationary in T and U. Its gradient with respect to the Hamiltonian and the interaction is
therefore the exact one of ω, and is finite for degenerate states (where, as always, only what is
symmetric in the degenerate set, such as the sum, has a derivative of its own).

Two solvers give the amplitudes: below ``DENSE`` single excitations, or where a good part of all
states is wanted, the matrices are built and diagonalized; else the lowest states are found without
matrices (:mod:`esml.physics.solvers.davidson`), in single precision if so asked. As ω is stationary
and evaluated in the precision of the orbitals, what iterations leave undone enters squared: below
1e-6 eV in single, below 1e-10 eV in double precision.

Transition dipoles and oscillator strengths are *not* stationary. Their gradient holds X and Y
fixed: it is that through the dipole operator, the orbitals and ω, and leaves out how the amplitudes
respond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from esml.physics.orbitals import Orbitals, eigh, stack_times
from esml.physics.response import Kind, LocalResponse, NearResponse, Response, to_basis
from esml.physics.solvers import davidson
from esml.physics.solvers.excitons import Excitons
from esml.physics.solvers.locality import Window
from esml.units import HARTREE

DENSE = 120
"""Single excitations (of the largest molecule of a batch) up to which matrices are built.

Measured by ``scripts/speed/benchmark.py crossover``.
"""

DENSE_PER_STATE = 6
"""Matrices are built, too, for molecules with fewer single excitations for each state wanted."""

LARGE = 150
"""Orbitals from which iterations start from local pairs (:mod:`esml.physics.solvers.excitons`)."""

PAIRS_PER_ATOM = 2
"""Such pairs for each atom."""

NEARLY = 0.05
"""Norm of the residual, eV, to which the states of A alone are found where those of A ± B start."""


class InstabilityError(ValueError):
    """The closed-shell ground state is not a minimum, so it has no real excitation energies."""


@dataclass(frozen=True)
class Excitations:
    """Lowest excited states of a batch, ascending in energy.

    A molecule has ``n_available`` = o·v states. Beyond them, and for all singlets of a molecule
    that is not ``stable``, energies are nan and everything else is zero.

    ``stable`` says whether the closed-shell ground state is a minimum with respect to the orbital
    rotations the states are made of. For singlets that means A − B and A + B are positive definite:
    where it fails, some ω² ≤ 0, an excitation energy is imaginary, and mixing these orbitals lowers
    the ground state; it is not the one the response was built on. For triplets (TDA) it means that
    the lowest energy is positive: where it fails, a triplet lies below the closed shell, and the
    energies are given all the same.
    """

    energies: Tensor  # (M, S) eV
    X: Tensor  # (M, S, o, v) excitation amplitudes, no gradient
    Y: Tensor  # (M, S, o, v) de-excitation amplitudes, no gradient; zero for triplets
    transition_dipoles: Tensor  # (M, S, 3) e·bohr, sign arbitrary; zero for triplets
    oscillator_strengths: Tensor  # (M, S) zero for triplets
    stable: Tensor  # (M,) bool
    n_available: Tensor  # (M,)

    @property
    def mask(self) -> Tensor:
        """(M, S) whether there is a state."""
        return self.energies.isfinite()

    def transition_density(self, orbitals: Orbitals) -> Tensor:
        """D = C_o (X + Y) C_vᵀ (M, S, n, n), rows hole and columns electron.

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
) -> Excitations:
    """The ``n_states`` lowest singlets (all, if None) by full linear response.

    With ``energy_window`` all those below it (eV), however many, in place of a number.

    From X + Y and the energies

        μ = √2 Σ_ia (X + Y)_ia ⟨i|r|a⟩ ,   f = ⅔ ω |μ|²   (atomic units).

    ``dipole_operator`` (M, 3, n, n) is ⟨μ|r|ν⟩ in bohr; where its origin lies does not matter.
    ``precision`` is that of iterations, should there be any; that of ``response`` if None.
    A molecule whose ground state is unstable is marked (see :class:`Excitations`) and does not
    disturb the others. See the module for what gradients mean. Raises
    :class:`esml.physics.solvers.davidson.ConvergenceError`.
    """
    if energy_window is not None:
        solve = partial(singlets, response, dipole_operator, precision=precision)
        return _all_below(solve, response, energy_window)
    n_states = _checked(response, n_states)
    with torch.no_grad():
        known = None
        if _is_dense(response, n_states):
            plus, minus, stable = _solve_singlets(response)
            plus, minus = (_lowest(response, x, n_states) for x in (plus, minus))
        else:
            known, plus, minus, stable = _iterate(response, 2, n_states, precision)
        exists = _existing(response, n_states) & stable[:, None]
        plus, minus = (_nonzero(x, exists) for x in (plus, minus))
    orbitals = response.orbitals
    if known is None or torch.is_grad_enabled():
        energies = response.singlet_functional(plus, minus)
    else:
        energies = known
    half = stack_times(dipole_operator, orbitals.virtual)
    moments = orbitals.occupied.mT[:, None] @ half
    dipoles = 2.0**0.5 * plus.flatten(2) @ moments.flatten(2).mT
    return Excitations(
        energies=torch.where(exists, energies, torch.nan),
        X=0.5 * (plus + minus),
        Y=0.5 * (plus - minus),
        transition_dipoles=dipoles,
        oscillator_strengths=2.0 / 3.0 * energies / HARTREE * dipoles.square().sum(2),
        stable=stable,
        n_available=response.n_available,
    )


def triplets(
    response: Response,
    n_states: int | None = None,
    precision: torch.dtype | None = None,
    energy_window: float | None = None,
) -> Excitations:
    """The ``n_states`` lowest triplets (all, if None) in the Tamm–Dancoff approximation.

    Transitions from a singlet ground state are spin-forbidden: dipoles and strengths are zero.
    ``precision``, ``energy_window`` and errors as for ``singlets``.
    """
    if energy_window is not None:
        solve = partial(triplets, response, precision=precision)
        return _all_below(solve, response, energy_window)
    n_states = _checked(response, n_states)
    with torch.no_grad():
        exists, known = _existing(response, n_states), None
        if _is_dense(response, n_states):
            _, vectors = eigh(response.dense("triplet"), response.singles_mask.flatten(1))
            amplitudes = _lowest(response, vectors, n_states)
        else:
            known, amplitudes, _, _ = _iterate(response, 1, n_states, precision)
        amplitudes = _nonzero(amplitudes, exists)
    if known is None or torch.is_grad_enabled():
        energies = response.triplet_functional(amplitudes)
    else:
        energies = known
    return Excitations(
        energies=torch.where(exists, energies, torch.nan),
        X=amplitudes,
        Y=torch.zeros_like(amplitudes),
        transition_dipoles=amplitudes.new_zeros((*energies.shape, 3)),
        oscillator_strengths=amplitudes.new_zeros(energies.shape),
        stable=((energies.detach() > 0) | ~exists).all(1),
        n_available=response.n_available,
    )


def _all_below(
    solve: Callable[[int], Excitations], response: Response, energy_window: float
) -> Excitations:
    """The states below ``energy_window``, asking for more of them until one lies above it."""
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
    kept = {
        name: getattr(found, name)[:, :count]
        for name in ("energies", "X", "Y", "transition_dipoles", "oscillator_strengths")
    }
    below = below[:, :count]
    shapes = {name: below.view(*below.shape, *[1] * (x.dim() - 2)) for name, x in kept.items()}
    cut = {name: torch.where(shapes[name], x, 0.0) for name, x in kept.items()}
    cut["energies"] = torch.where(below, kept["energies"], torch.nan)
    return replace(found, **cut)


def _is_dense(response: Response, n_states: int) -> bool:
    singles = int(response.n_available.max())
    return singles <= max(DENSE, DENSE_PER_STATE * n_states)


def _nonzero(amplitudes: Tensor, exists: Tensor) -> Tensor:
    return torch.where(exists[:, :, None, None], amplitudes, 0.0)


def _iterate(
    response: Response, n_matrices: Literal[1, 2], n_states: int, precision: torch.dtype | None
) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
    """Energies (M, S), if they were evaluated in the precision of ``response``; T and U
    (M, S, o, v) with TᵀU = 1, by energy; and which molecules are stable (M,)."""
    dtype = response.orbitals.coefficients.dtype
    precision = precision or dtype
    kind: Kind = "A+B" if n_matrices == 2 else "triplet"
    found = given = None
    local = _local(response, precision)
    between = response.relaxed(precision) if local is None else local
    mask = response.singles_mask
    shape = mask.shape[1:]
    alone: Kind = "A" if n_matrices == 2 else "triplet"

    def applied(some: Response, vectors: list[Tensor]) -> list[Tensor]:
        trials = [x.unflatten(2, shape) for x in vectors]
        products = some.apply_pair(*trials) if len(trials) == 2 else [some.apply(trials[0], alone)]
        return [x.flatten(2) for x in products]

    try:
        excitons = _excitons(response.to(precision) if local else between, kind, n_states)
        if local is not None:
            if excitons is not None:
                excitons.turn(local.turn_occupied, local.turn_virtual)
            given = _near(local, kind, n_states, excitons)
            if excitons is not None:
                excitons = excitons.within(Window(torch.ones_like(mask[0])))
        solve = partial(
            davidson.lowest,
            partial(applied, between),
            between.diagonal().flatten(1),
            mask.flatten(1),
            n_states,
        )
        divided = None if local is None else local.divided
        if n_matrices == 2 and given is None and excitons is not None:
            # The states of A alone are near those of A ± B and cost half.
            given = 2 * [solve(1, excitons, divided, tolerance=NEARLY).plus]
        found = solve(
            n_matrices,
            excitons,
            divided,
            given,
            some=lambda molecules: partial(applied, between.of(molecules)),
        )
    except (davidson.ConvergenceError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        if precision == dtype:
            raise
    # Close to an instability single precision is not enough, and it may see one where the vectors
    # of many states are nearly dependent.
    if found is None or (precision != dtype and not bool(found.stable.all())):
        return _iterate(response, n_matrices, n_states, dtype)
    # Parted with those beyond the wanted ones, which may crowd with them.
    parted = excitons is not None and bool(found.stable.all())
    count = None if parted else n_states
    states = [x[:, :count].unflatten(2, shape) for x in (found.plus, found.minus)][:n_matrices]
    energies = None
    if local is None:
        states = [between.turned(x) for x in states]
    states = [x.to(dtype) for x in states]
    if parted:
        exact = response if local is None else response.local(dtype)
        states = [x.flatten(2) for x in states]
        energies, states = davidson.resolved(states, applied(exact, states))
        energies = energies[:, :n_states]
        states = [x[:, :n_states].unflatten(2, shape) for x in states]
    plus, minus = states[0], states[-1]
    if local is not None:
        plus, minus = (local.turned(x.to(local.hole)).to(dtype) for x in (plus, minus))
    norm = (plus * minus).sum((2, 3), keepdim=True)
    plus, minus = (x * torch.where(norm > 0, norm, 1.0).rsqrt() for x in (plus, minus))
    missing = n_states - plus.shape[1]
    plus, minus = (torch.nn.functional.pad(x, (0, 0, 0, 0, 0, missing)) for x in (plus, minus))
    return energies, plus, minus, found.stable


def _local(response: Response, dtype: torch.dtype) -> LocalResponse | None:
    """``response`` between local orbitals, for one large molecule where that saves operations."""
    if response.layout.n_molecules > 1 or response.layout.n_max < LARGE:
        return None
    return response.local(dtype) if response.narrow(dtype) else None


def _near(
    local: LocalResponse, kind: Kind, n_states: int, excitons: Excitons | None
) -> list[Tensor] | None:
    """States of the near pairs alone, (1, S, o·v) T and U or X; None where they are no help."""
    window = local.near()
    if window is None:
        return None
    near = NearResponse(local, window, kind)
    n_matrices: Literal[1, 2] = 1 if kind == "triplet" else 2
    everything = torch.ones_like(near.diagonal, dtype=torch.bool)
    inner = None if excitons is None else excitons.within(window)
    found = davidson.lowest(
        near.apply,
        near.diagonal,
        everything,
        n_states,
        n_matrices,
        inner,
        near.divided,
        n_crowd=0 if excitons is None else excitons.crowd(n_states),
    )
    if not bool(found.stable.all()):
        return None
    return [window.spread(x) for x in (found.plus, found.minus)[:n_matrices]]


def _excitons(response: Response, kind: Kind, n_states: int) -> Excitons | None:
    """The model of a large molecule; None for small ones and batches of several."""
    layout = response.layout
    n_pairs = max(PAIRS_PER_ATOM * layout.n_atoms_max, 4 * n_states)
    if layout.n_molecules > 1 or layout.n_max < LARGE or 4 * n_pairs > response.n_available[0]:
        return None
    return Excitons(response.frontier(n_pairs), response.coupling(kind))


def _solve_singlets(response: Response) -> tuple[Tensor, Tensor, Tensor]:
    """T and U (M, o·v, o·v), columns states by energy, and which molecules are stable (M,)."""
    mask = response.singles_mask.flatten(1)
    difference = response.dense("A-B") + torch.diag_embed((~mask).to(response.orbitals.occupied))
    identity = torch.eye(mask.shape[1]).to(difference)
    factor, failed = torch.linalg.cholesky_ex(0.5 * (difference + difference.mT))
    positive = failed == 0
    factor = torch.where(positive[:, None, None], factor, identity)
    square, vectors = eigh(factor.mT @ response.dense("A+B") @ factor, mask)
    stable = positive & (square > 0).all(1)
    root = torch.where(stable[:, None], square, 1.0) ** 0.25
    plus = factor @ vectors / root[:, None, :]
    minus = torch.linalg.solve_triangular(factor.mT, vectors, upper=True) * root[:, None, :]
    return plus, minus, stable


def _lowest(response: Response, vectors: Tensor, n_states: int) -> Tensor:
    """The first ``n_states`` columns of ``vectors`` (M, o·v, o·v) as (M, S, o, v), zero-padded."""
    n_molecules, o, v = response.singles_mask.shape
    chosen = vectors[:, :, :n_states].mT
    missing = n_states - chosen.shape[1]
    chosen = torch.nn.functional.pad(chosen, (0, 0, 0, missing))
    return chosen.reshape(n_molecules, n_states, o, v)


def _existing(response: Response, n_states: int) -> Tensor:
    """(M, S) whether the molecule has that many states."""
    states = torch.arange(n_states, device=response.n_available.device)
    return states < response.n_available[:, None]


def _checked(response: Response, n_states: int | None) -> int:
    if n_states is None:
        return int(response.n_available.max())
    if n_states < 1:
        raise ValueError(f"n_states must be at least 1, got {n_states}")
    return n_states
