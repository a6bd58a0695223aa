"""Excitation labels of large molecules: the lowest states, without building A and B.

The matrices A and B are those of :mod:`reference.response`, with the same truncations, but only
their products with vectors are computed, from the fitted integrals B^P and the pair densities on
the response grid:

    [(A ± B) T]_ia = (ε_a − ε_i) T_ia + 2 (1 ± 1) Σ_P B^P_ia Σ_jb B^P_jb T_jb
                     + (1 ± 1) Σ_g ρ_ia f_xc Σ_jb ρ_jb T_jb
                     − Σ_Pjb (B^P_ij B^P_ab ± B^P_ib B^P_ja) T_jb

(for a range-separated functional the last sum occurs twice, with its full-range and long-range
fractions). Each product costs O(N³)–O(N⁴). PySCF's Davidson solvers do the rest. The factors are
stored in single precision, which limits residuals to about 1e-6 hartree; energies are far more
accurate than that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyscf import dft
from pyscf.tdscf import rks

from .response import (
    ActiveSpace,
    LabelStates,
    fitted,
    kernel_on_grid,
    require_kernel,
    singlet_states,
    triplet_states,
)
from .scf import CalculationError, Level

RESIDUAL = 1e-3
"""Residual norm at convergence (hartree); the error of an energy is of the order of its square."""

SPARE = 3
"""Number of additional states solved for, so that none of the wanted states is missed."""


class _Exchange:
    """Products Σ_jb (ij|ab) T_jb and Σ_jb (ib|ja) T_jb of one operator, times its fraction."""

    def __init__(self, df: Any, space: ActiveSpace, fraction: float) -> None:
        self.fraction = np.float32(fraction)
        oo = fitted(df, space.occupied, space.occupied).astype(np.float32)
        vv = fitted(df, space.virtual, space.virtual).astype(np.float32)
        ov = fitted(df, space.occupied, space.virtual).astype(np.float32)
        self.o, self.v = ov.shape[1:]
        self._oo = np.ascontiguousarray(oo.transpose(1, 0, 2)).reshape(-1, self.o)  # iP, j
        self._vv = vv.reshape(-1, self.v)  # Pb, a
        self._ov = np.ascontiguousarray(ov.transpose(1, 0, 2)).reshape(-1, self.v)  # iP, b
        self._vo = ov.reshape(-1, self.v)  # Pj, a

    def direct(self, t: np.ndarray) -> np.ndarray:
        half = (self._oo @ t).reshape(self.o, -1)  # i, Pb
        result: np.ndarray = self.fraction * (half @ self._vv)
        return result

    def crossed(self, t: np.ndarray) -> np.ndarray:
        half = (self._ov @ t.T).reshape(self.o, -1)  # i, Pj
        result: np.ndarray = self.fraction * (half @ self._vo)
        return result


class Products:
    """Products of A ± B (singlets) and A (triplets) with vectors (n, o·v), hartree."""

    def __init__(self, mean_field: Any, space: ActiveSpace, level: Level) -> None:
        self.gaps = space.gaps.ravel()
        self._shape = space.gaps.shape
        df = mean_field.with_df
        self._ov = fitted(df, space.occupied, space.virtual).astype(np.float32)
        self._ov = self._ov.reshape(len(self._ov), -1)
        omega, long_range, hybrid = dft.numint.NumInt().rsh_and_hybrid_coeff(mean_field.xc)
        self._exchange: list[_Exchange] = []
        if hybrid:
            self._exchange.append(_Exchange(df, space, hybrid))
        if omega and long_range != hybrid:
            with df.range_coulomb(omega) as tail:
                self._exchange.append(_Exchange(tail, space, long_range - hybrid))
        self._occupied, self._virtual, self._singlet, self._triplet = kernel_on_grid(
            mean_field, space, level.response_grid
        )

    def _exact_exchange(self, vectors: np.ndarray, direct: float, crossed: float) -> np.ndarray:
        """Return ``direct`` Σ_jb (ij|ab) T_jb + ``crossed`` Σ_jb (ib|ja) T_jb."""
        out = np.zeros_like(vectors)
        for trial, result in zip(vectors, out, strict=True):
            t = trial.reshape(self._shape)
            for exchange in self._exchange:
                result += np.float32(direct) * exchange.direct(t).reshape(-1)
                if crossed:
                    result += np.float32(crossed) * exchange.crossed(t).reshape(-1)
        return out

    def _kernel(self, vectors: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Return Σ_g ρ_ia f_xc Σ_jb ρ_jb T_jb, over densities and their gradients."""
        out = np.zeros_like(vectors)
        if not kernel.size:
            return out
        phi_o, phi_v = self._occupied, self._virtual  # (x, g, o), (x, g, v)
        for trial, result in zip(vectors, out, strict=True):
            t = trial.reshape(self._shape)
            half = phi_v @ t.T  # (x, g, o)
            density = np.einsum("gi,xgi->xg", phi_o[0], half)
            density[1:] += np.einsum("xgi,gi->xg", phi_o[1:], half[0])
            field = np.einsum("xyg,yg->xg", kernel, density)
            weighted = np.einsum("xg,xgi->gi", field, phi_o)
            total = weighted.T @ phi_v[0]
            for x in range(1, len(field)):
                total += (phi_o[0] * field[x][:, None]).T @ phi_v[x]
            result += total.reshape(-1)
        return out

    def plus(self, vectors: np.ndarray) -> np.ndarray:
        """Return (A + B) T for the singlets."""
        single = vectors.astype(np.float32)
        coulomb = (single @ self._ov.T) @ self._ov
        interaction = 4.0 * coulomb + 2.0 * self._kernel(single, self._singlet)
        interaction += self._exact_exchange(single, -1.0, -1.0)
        result: np.ndarray = vectors * self.gaps + interaction
        return result

    def minus(self, vectors: np.ndarray) -> np.ndarray:
        """Return (A − B) T for the singlets."""
        single = vectors.astype(np.float32)
        interaction = self._exact_exchange(single, -1.0, 1.0)
        result: np.ndarray = vectors * self.gaps + interaction
        return result

    def triplet(self, vectors: np.ndarray) -> np.ndarray:
        """Return A T for the triplets."""
        single = vectors.astype(np.float32)
        interaction = self._kernel(single, self._triplet) + self._exact_exchange(single, -1.0, 0.0)
        result: np.ndarray = vectors * self.gaps + interaction
        return result


def _solve(
    solver: Any,
    product: Callable[[np.ndarray], np.ndarray],
    diagonal: np.ndarray,
    n_states: int,
    n_available: int,
    residual: float,
) -> tuple[np.ndarray, list[Any]]:
    """Return energies and amplitudes of ``n_states`` from a PySCF solver that uses ``product``."""
    wanted = min(n_states, n_available)
    solver.nstates = min(n_states + SPARE, n_available)
    solver.conv_tol = residual
    solver.lindep = 1e-9
    solver.max_cycle = 60
    solver.positive_eig_threshold = -np.inf  # keep states below the ground state
    solver.gen_vind = lambda mean_field=None: (product, diagonal)
    try:
        solver.kernel()
    except (RuntimeError, np.linalg.LinAlgError) as error:
        raise CalculationError(
            "the ground state is unstable: the response has no real excitation energies; expected "
            "a stable closed shell; leave the molecule out"
        ) from error
    if not np.all(solver.converged[:wanted]):
        raise CalculationError(
            f"the excited states did not converge in {solver.max_cycle} cycles: expected residuals "
            f"below {residual:g} Ha; ask for fewer states or leave the molecule out"
        )
    return np.asarray(solver.e)[:wanted], list(solver.xy)[:wanted]


def lowest_excitations(
    mean_field: Any, level: Level, residual: float = RESIDUAL
) -> tuple[ActiveSpace, LabelStates, LabelStates]:
    """Return active space, singlets and triplets like ``response.excitations``, iteratively.

    The iteration ends when the norm of every residual is below ``residual`` (hartree). Raises
    CalculationError like ``response.excitations``, and if the iteration does not converge.
    """
    require_kernel(mean_field.xc)
    space = ActiveSpace.of(mean_field, level)
    products = Products(mean_field, space, level)
    o, v = space.gaps.shape
    frozen = space.frozen(mean_field)

    triplet_solver = rks.TDA(mean_field, frozen=frozen)
    triplet_solver.singlet = False
    energies, amplitudes = _solve(
        triplet_solver, products.triplet, products.gaps, level.n_triplets, o * v, residual
    )
    # PySCF's closed-shell amplitudes are normalized to one half.
    x = np.sqrt(2.0) * np.array([pair[0] for pair in amplitudes]).reshape(-1, o, v)
    triplets = triplet_states(energies, x)

    def pairs(vectors: np.ndarray) -> np.ndarray:
        x, y = vectors.reshape(len(vectors), 2, -1).transpose(1, 0, 2)
        plus, minus = products.plus(x + y), products.minus(x - y)
        return np.concatenate([0.5 * (plus + minus), 0.5 * (minus - plus)], axis=1)

    energies, amplitudes = _solve(
        rks.TDDFT(mean_field, frozen=frozen),
        pairs,
        np.concatenate([products.gaps, -products.gaps]),
        level.n_singlets,
        o * v,
        residual,
    )
    if len(energies) < min(level.n_singlets, len(products.gaps)):
        raise CalculationError(
            "the ground state is unstable: a singlet excitation energy is imaginary; expected a "
            "stable closed shell; leave the molecule out"
        )
    x, y = np.sqrt(2.0) * np.array(amplitudes).reshape(-1, 2, o, v).transpose(1, 0, 2, 3)
    return space, singlet_states(mean_field.mol, space, energies, x, y), triplets
