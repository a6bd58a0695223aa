"""Every threshold of the solvers, in one place.

A :class:`Strategy` says when matrices are built and when states are found by iterations, how far
these go, and what of a large molecule is left out on the way. It decides how long an answer takes
and how much memory; the answer itself is converged whatever it says, unless a tolerance is raised.

>>> from esml.physics import Strategy, singlets
>>> singlets(response, dipole_operator, 10, strategy=Strategy(large=0))
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch


class ByPrecision(NamedTuple):
    """A threshold for each precision of the iterations."""

    single: float
    double: float

    def of(self, dtype: torch.dtype) -> float:
        """The one for ``dtype``."""
        return self.double if dtype == torch.float64 else self.single


@dataclass(frozen=True)
class Strategy:
    """How excited states are found; the defaults are measured (``docs/speed.md``).

    Raises
    ------
    ValueError
        If a field is negative.
    """

    # ---- which way ----

    dense: int = 120
    """Single excitations, of the largest molecule of a batch, up to which matrices are built and
    diagonalized. Measured by the command ``crossover`` of the speed benchmark."""

    dense_per_state: int = 6
    """Matrices are built, too, up to so many single excitations for each state wanted."""

    large: int = 150
    """Orbitals of a molecule from which iterations start from a model of local pairs
    (:mod:`esml.physics.solvers.pair_model`) and may run between local orbitals."""

    widest_band: float = 0.5
    """Share of a matrix up to which its band is worth the use: of the coefficients of local
    orbitals, and of all pairs those in a window of near ones."""

    chunk: int = 2**18
    """Numbers in the largest intermediate (M, S, n, n) of a product, if more than one vector has so
    many: a megabyte stays in the cache of a core."""

    # ---- iterations (esml.physics.solvers.davidson) ----

    tolerance: ByPrecision = ByPrecision(5e-4, 1e-8)
    """Largest norm of the residual of a converged state, eV. Energies are in error by its square
    over the distance to other states."""

    start_tolerance: float = 0.05
    """Norm of the residual, eV, to which the states of A alone are found where those of A ± B
    start from them."""

    crowd_tolerance: float = 0.15
    """Norm of the residual, eV, to which states are found that only crowd the wanted ones."""

    most_iterations: int = 200
    """Iterations after which states that have not converged are an error."""

    guards: int = 2
    """States followed beyond the wanted ones, so that none is missed."""

    states_per_guard: int = 8
    """One more state is followed for each so many wanted."""

    starts_per_state: int = 2
    """Vectors a space starts with for each state wanted."""

    kept_per_state: int = 2
    """Vectors a full space keeps for each state followed."""

    plain_starts: int = 3
    """Start vectors that are single excitations, beside those from a model."""

    admixture: float = 0.03
    """Norm of what breaks the symmetry of a start vector."""

    memory: int = 3 * 2**30
    """Bytes for the spaces of one batch; one that outgrows its share starts again from the best."""

    growth_least: int = 3
    """Additions of all states followed before a space starts again, at least, if memory allows."""

    growth_most: int = 16
    """The same, at most."""

    growth_worth: float = 2.5
    """Vectors of a space for each of √d, d single excitations: solving the problem projected on it
    takes the cube of their number, what another iteration costs grows with √d³."""

    left_behind: float = 0.85
    """Share of a batch's molecules up to which those not converged go on without the others."""

    dependent: ByPrecision = ByPrecision(1e-3, 1e-7)
    """Norm below which the rest of a vector adds nothing to a space."""

    independent: float = 0.1
    """Smallest norm at which a new direction counts as independent; below it, it is made orthogonal
    to the space once more, as much of it is rounding."""

    piece: int = 8192
    """Numbers of a vector whose products are summed in their own precision; longer ones in
    double."""

    correction_room: int = 2**22
    """Numbers corrected at a time: for large molecules new memory costs more than what is done in
    it."""

    # ---- preconditioners (esml.physics.solvers.preconditioners) ----

    smallest_denominator: float = 0.3
    """Smallest absolute difference between a diagonal element and an energy, eV, that a residual is
    divided by."""

    smallest_pair_denominator: float = 0.05
    """The same for states of the model of local pairs, eV."""

    decay_times: tuple[float, ...] = (0.05, 0.3, 1.5)
    """Times t of the exponentials exp(−tΔ) that make up about 1/(Δ − ω), 1/eV."""

    rough: float = 1e-3
    """Coefficients left out of matrices that only improve steps."""

    # ---- local orbitals (esml.physics.solvers.local_orbitals, banded) ----

    coupled: float = 1e-2
    """Element of the density matrix from which two basis functions are neighbours."""

    negligible: ByPrecision = ByPrecision(1e-5, 1e-10)
    """Coefficients left out of the matrices of a large molecule."""

    strip_rows: int = 48
    """Rows of a strip of a banded matrix."""

    strip_holes: int = 48
    """Holes of a strip of near pairs: of fewer, products are too small to be fast."""

    binding: float = 0.7
    """Attraction of electron and hole, eV, from which a pair counts as near."""

    # ---- the model of local pairs (esml.physics.solvers.pair_model) ----

    pairs_per_atom: int = 2
    """Pairs of local orbitals in the model for each atom, if these are more than ..."""

    pairs_per_state: int = 4
    """... so many for each state wanted."""

    singles_per_pair: int = 4
    """Single excitations for each pair of the model below which the model is not worth its cost."""

    frontier_width: float = 2.0
    """How far from the frontier, eV, orbitals count when they are made local."""

    frontier_rank: float = 0.05
    """Share of the largest element at which the Cholesky decomposition of the density of the
    frontier ends."""

    frontier_overlap: float = 1e-4
    """Overlap of densities, and coefficient, from which local orbitals interact by exchange."""

    frontier_strip: int = 32
    """Holes whose exchange with others is evaluated together."""

    crowd: float = 0.2
    """States within so many eV above the highest wanted one crowd it: they are told apart only
    together."""

    crowd_most: int = 256
    """States that are told apart together, at most."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if any(x < 0 for x in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{field.name} of a strategy must not be negative, got {value}")


DEFAULT = Strategy()
"""What is used unless a caller says otherwise."""
