"""Excitation labels: linear-response TDDFT singlets and TDA triplets from dense matrices.

PySCF's iterative solvers take minutes even for matrices that fit in memory, and can miss a root.
This module builds A and B explicitly, as matrix products, from the density-fitted three-centre
integrals of the SCF and the exchange–correlation kernel on a response grid, and diagonalizes them
with LAPACK:

    A(ia,jb) = δ_ij δ_ab (ε_a − ε_i) + 2 (ia|jb) + f(ia,jb) − c (ij|ab) − d (ij|ab)_lr
    B(ia,jb) =                         2 (ia|jb) + f(ia,jb) − c (ib|ja) − d (ib|ja)_lr

for singlets (c, d: fractions of full-range and long-range exact exchange of the functional). For
triplets the Coulomb term is absent and f is the triplet part of the kernel. Singlets are the
eigenvectors of Lᵀ(A+B)L with A−B = LLᵀ, triplets those of A alone. Amplitudes are normalized to
Xᵀ X − Yᵀ Y = 1, so that transition dipoles are √2 Σ (X+Y)_ia ⟨i|r|a⟩.

If the matrices are too large, :mod:`reference.iteration` finds the lowest states of the same A and
B without building them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.linalg
import torch
from pyscf import dft, lib
from pyscf.dft import numint

from esml.units import HARTREE

from .scf import CalculationError, Level, core_orbitals_of, require_known


@dataclass(frozen=True)
class LabelStates:
    """Excited states of one multiplicity by ascending energy, over active orbitals i and a."""

    energies: np.ndarray  # (S,) eV
    x: np.ndarray  # (S, o, v)
    y: np.ndarray  # (S, o, v), zero in the Tamm–Dancoff approximation
    transition_dipoles: np.ndarray  # (S, 3) e·bohr, zero for triplets
    oscillator_strengths: np.ndarray  # (S,)


@dataclass(frozen=True)
class ActiveSpace:
    """Orbitals included in the response: valence occupied, and virtuals below a cutoff."""

    occupied: np.ndarray  # (n_ao, o)
    virtual: np.ndarray  # (n_ao, v)
    gaps: np.ndarray  # (o, v) ε_a − ε_i, hartree
    first: int  # the active orbitals are first, …, first + o + v − 1

    def frozen(self, mean_field: Any) -> list[int]:
        """Return the indices of the orbitals that are left out."""
        end = self.first + sum(self.gaps.shape)
        return [*range(self.first), *range(end, len(mean_field.mo_energy))]

    @classmethod
    def of(cls, mean_field: Any, level: Level) -> ActiveSpace:
        n_core = core_orbitals_of(mean_field.mol) if level.frozen_core else 0
        n_occupied = int(np.count_nonzero(mean_field.mo_occ))
        energies = mean_field.mo_energy
        end = len(energies)
        if level.virtual_cutoff is not None:
            end = max(int(np.searchsorted(energies, level.virtual_cutoff)), n_occupied + 1)
        return cls(
            mean_field.mo_coeff[:, n_core:n_occupied],
            mean_field.mo_coeff[:, n_occupied:end],
            energies[None, n_occupied:end] - energies[n_core:n_occupied, None],
            n_core,
        )


def require_kernel(functional: str) -> None:
    """Raise CalculationError if the response kernel of ``functional`` is not implemented here."""
    require_known(functional)
    kind = numint.NumInt()._xc_type(functional)
    if kind not in ("HF", "LDA", "GGA"):
        raise CalculationError(
            f"functional {functional!r} is a {kind} functional: expected LDA, GGA or a hybrid of "
            "them; choose another functional"
        )
    if dft.libxc.is_nlc(functional):
        raise CalculationError(
            f"functional {functional!r} has nonlocal correlation: expected one without, whose "
            "response kernel is complete; choose another functional"
        )


def fitted(df: Any, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return three-centre integrals (P|lr) of a density-fitting object, (naux, l, r)."""
    blocks = []
    for packed in df.loop(240):
        full = lib.unpack_tril(packed)
        half = full.reshape(-1, full.shape[2]) @ right
        half = half.reshape(full.shape[0], full.shape[1], -1)
        blocks.append(np.einsum("pmr,ml->plr", half, left, optimize=True))
    return np.concatenate(blocks)


def _exact_exchange(df: Any, space: ActiveSpace) -> tuple[np.ndarray, np.ndarray]:
    """Return (ij|ab) and (ib|ja), both as matrices over ia, jb."""
    o, v = space.gaps.shape
    oo = fitted(df, space.occupied, space.occupied).reshape(-1, o * o)
    vv = fitted(df, space.virtual, space.virtual).reshape(-1, v * v)
    direct = (oo.T @ vv).reshape(o, o, v, v).transpose(0, 2, 1, 3).reshape(o * v, o * v)
    ov = fitted(df, space.occupied, space.virtual).reshape(-1, o * v)
    crossed = (ov.T @ ov).reshape(o, v, o, v).transpose(0, 3, 2, 1).reshape(o * v, o * v)
    return direct, crossed


def _kernels(mean_field: Any, space: ActiveSpace, grid_level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return singlet and triplet exchange–correlation kernels over ia, jb (hartree).

    f(ia,jb) = Σ_g w_g Σ_xy ρ^x_ia(g) f^xy(g) ρ^y_jb(g), x, y over the density and its gradient.
    Single precision suffices: the products are O(1) and the sum is smooth. Denormal numbers, common
    in the tails of pair densities, are flushed to zero because they slow this down threefold.
    """
    torch.set_flush_denormal(True)
    try:
        return _summed_kernels(mean_field, space, grid_level)
    finally:
        torch.set_flush_denormal(False)


def _on_grid(
    mean_field: Any, space: ActiveSpace, grid_level: int, step: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield blocks of orbitals and kernels on the response grid, in single precision.

    A block holds the occupied and virtual orbitals (x, g, o) and (x, g, v), where x is the value
    and its gradient, and the singlet and triplet kernels times weights (x, y, g).
    """
    mol = mean_field.mol
    ni = numint.NumInt()
    kind = ni._xc_type(mean_field.xc)
    if kind == "HF":
        return
    grids = dft.gen_grid.Grids(mol)
    grids.level = grid_level
    grids.build(with_non0tab=True)
    deriv = 0 if kind == "LDA" else 1
    step = step or len(grids.weights)
    for start in range(0, len(grids.weights), step):
        coords = grids.coords[start : start + step]
        weights = grids.weights[start : start + step]
        ao = ni.eval_ao(mol, coords, deriv=deriv)
        rho = ni.eval_rho2(mol, ao, mean_field.mo_coeff, mean_field.mo_occ, xctype=kind)
        half = np.stack([rho * 0.5, rho * 0.5])
        fxc = ni.eval_xc_eff(mean_field.xc, half, deriv=2, xctype=kind)[2]
        values = ao[None] if kind == "LDA" else ao
        same, other = fxc[0, :, 0] * weights, fxc[0, :, 1] * weights
        yield (
            (values @ space.occupied).astype(np.float32),
            (values @ space.virtual).astype(np.float32),
            (same + other).astype(np.float32),
            (same - other).astype(np.float32),
        )


def kernel_on_grid(
    mean_field: Any, space: ActiveSpace, grid_level: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return orbitals (x, g, o), (x, g, v) and kernels (x, y, g) on the response grid; none for HF.

    They are in single precision; a few thousand points at a time are computed in double.
    """
    blocks = list(_on_grid(mean_field, space, grid_level, 4000))
    if not blocks:
        nothing = np.zeros((0, 0, 0), dtype=np.float32)
        return nothing, nothing, nothing, nothing
    o, v, s, t = zip(*blocks, strict=True)
    return (
        np.concatenate(o, axis=1),
        np.concatenate(v, axis=1),
        np.concatenate(s, axis=2),
        np.concatenate(t, axis=2),
    )


def _summed_kernels(
    mean_field: Any, space: ActiveSpace, grid_level: int
) -> tuple[np.ndarray, np.ndarray]:
    o, v = space.gaps.shape
    singlet = np.zeros((o * v, o * v), dtype=np.float32)
    triplet = np.zeros_like(singlet)
    # Each block holds about 64 MB of pair densities.
    step = max(64, int(64e6 / (o * v * 4 * 4)))
    for occupied, virtual, *kernels in _on_grid(mean_field, space, grid_level, step):
        # Point, component, pair: (g, x, o·v).
        phi_o = torch.from_numpy(np.ascontiguousarray(occupied.transpose(1, 0, 2)))
        phi_v = torch.from_numpy(np.ascontiguousarray(virtual.transpose(1, 0, 2)))
        pairs = phi_o[:, :, :, None] * phi_v[:, :1, None, :]
        pairs[:, 1:] += phi_o[:, :1, :, None] * phi_v[:, 1:, None, :]
        pairs = pairs.flatten(2)
        for kernel, out in zip(kernels, (singlet, triplet), strict=True):
            points = torch.from_numpy(np.ascontiguousarray(kernel.transpose(2, 0, 1)))
            dressed = torch.bmm(points, pairs)
            # NumPy's BLAS is several times faster than torch's for these tall matrices.
            _add_upper(out, pairs.numpy().reshape(-1, o * v), dressed.numpy().reshape(-1, o * v))
    return _mirrored(singlet), _mirrored(triplet)


def _mirrored(upper: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.triu(upper) + np.triu(upper, 1).T
    return whole


def _add_upper(out: np.ndarray, left: np.ndarray, right: np.ndarray, n_strips: int = 8) -> None:
    """Add the symmetric product leftᵀ·right to the diagonal and upper blocks of ``out``."""
    edges = np.linspace(0, len(out), n_strips + 1).astype(int)
    for begin, end in pairwise(edges):
        out[begin:end, begin:] += left[:, begin:end].T @ right[:, begin:]


def _lowest(matrix: np.ndarray, n_states: int) -> tuple[np.ndarray, np.ndarray]:
    n = min(n_states, len(matrix))
    values, vectors = scipy.linalg.eigh(
        matrix, subset_by_index=(0, n - 1), overwrite_a=True, check_finite=False
    )
    return values, vectors


def triplet_states(energies: np.ndarray, x: np.ndarray) -> LabelStates:
    """Make triplet states from ``energies`` (hartree, ascending) and amplitudes ``x`` (S, o, v).

    Raises CalculationError if a triplet lies below the ground state.
    """
    if energies[0] <= 0:
        raise CalculationError(
            "the closed shell is not the ground state: a triplet lies "
            f"{-energies[0] * HARTREE:.2f} eV below it; expected a closed shell below all "
            "triplets; leave the molecule out"
        )
    n = len(x)
    return LabelStates(energies * HARTREE, x, np.zeros_like(x), np.zeros((n, 3)), np.zeros(n))


def singlet_states(
    mol: Any, space: ActiveSpace, energies: np.ndarray, x: np.ndarray, y: np.ndarray
) -> LabelStates:
    """Make singlet states, with transition dipoles, from energies (hartree) and amplitudes."""
    with mol.with_common_orig((0.0, 0.0, 0.0)):
        position = mol.intor_symmetric("int1e_r", comp=3)
    moments = np.einsum("xmn,mi,na->xia", position, space.occupied, space.virtual, optimize=True)
    dipoles = np.sqrt(2.0) * (moments.reshape(3, -1) @ (x + y).reshape(len(x), -1).T).T
    strengths = 2.0 / 3.0 * energies * np.einsum("sx,sx->s", dipoles, dipoles)
    return LabelStates(energies * HARTREE, x, y, dipoles, strengths)


def coupled(
    minus: np.ndarray, plus: np.ndarray, n_states: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ``n_states`` lowest ω (S,), X and Y (S, n) for A−B and A+B (n, n), hartree.

    (A−B)(A+B)(X+Y) = ω² (X+Y) is solved as the symmetric problem Lᵀ(A+B)L z = ω² z with A−B = LLᵀ;
    XᵀX − YᵀY = 1. Raises CalculationError if A−B is not positive definite or an ω² is not positive.
    """
    try:
        lower = np.linalg.cholesky(minus)
    except np.linalg.LinAlgError as error:
        raise CalculationError(
            "the ground state is unstable: A−B of the singlet response is not positive definite; "
            "expected a stable closed shell; leave the molecule out"
        ) from error
    squares, vectors = _lowest(lower.T @ plus @ lower, n_states)
    if squares[0] <= 0:
        raise CalculationError(
            "the ground state is unstable: a singlet excitation energy is imaginary; expected a "
            "stable closed shell; leave the molecule out"
        )
    energies = np.sqrt(squares)
    # X+Y = L z / √ω and X−Y = L⁻ᵀ z √ω for normalized z.
    total = (lower @ vectors) / np.sqrt(energies)
    difference = scipy.linalg.solve_triangular(lower, vectors, lower=True, trans="T")
    difference *= np.sqrt(energies)
    return energies, 0.5 * (total + difference).T, 0.5 * (total - difference).T


def excitations(
    mean_field: Any, level: Level, screening: Callable[[ActiveSpace], np.ndarray] | None = None
) -> tuple[ActiveSpace, LabelStates, LabelStates]:
    """Return active space, singlets and triplets of a converged RKS ground state at ``level``.

    ``screening`` returns a matrix over ia, jb (hartree) that is added to 2 (ia|jb) of the singlets:
    the response of the surroundings to a transition (:mod:`reference.continuum`).
    Raises CalculationError when the functional's kernel is not implemented or the ground state is
    unstable: A−B or the whole singlet response is not positive, or a triplet lies below the ground
    state.
    """
    require_kernel(mean_field.xc)
    space = ActiveSpace.of(mean_field, level)
    o, v = space.gaps.shape
    omega, long_range, hybrid = dft.numint.NumInt().rsh_and_hybrid_coeff(mean_field.xc)
    f_singlet, f_triplet = _kernels(mean_field, space, level.response_grid)

    ov = fitted(mean_field.with_df, space.occupied, space.virtual).reshape(-1, o * v)
    coulomb = 2.0 * (ov.T @ ov)
    if screening is not None:
        coulomb += screening(space)
    direct = np.zeros((o * v, o * v))
    crossed = np.zeros((o * v, o * v))
    if hybrid:
        full = _exact_exchange(mean_field.with_df, space)
        direct += hybrid * full[0]
        crossed += hybrid * full[1]
    if omega and long_range != hybrid:
        with mean_field.with_df.range_coulomb(omega) as df:
            tail = _exact_exchange(df, space)
        direct += (long_range - hybrid) * tail[0]
        crossed += (long_range - hybrid) * tail[1]

    triplet_a = f_triplet.astype(np.float64) - direct
    triplet_a[np.diag_indices(o * v)] += space.gaps.ravel()
    energies, vectors = _lowest(triplet_a, level.n_triplets)
    del triplet_a
    triplets = triplet_states(energies, vectors.T.reshape(-1, o, v))

    minus = crossed - direct
    minus[np.diag_indices(o * v)] += space.gaps.ravel()
    plus = 2.0 * (coulomb + f_singlet) - direct - crossed
    plus[np.diag_indices(o * v)] += space.gaps.ravel()
    del coulomb, f_singlet, direct, crossed
    energies, x, y = coupled(minus, plus, level.n_singlets)
    x, y = x.reshape(-1, o, v), y.reshape(-1, o, v)
    return space, singlet_states(mean_field.mol, space, energies, x, y), triplets
