"""All thresholds of the solvers in one place.

A :class:`Strategy` says when matrices are built and when the solvers iterate, how tightly they
converge, and what they may omit on the way for large molecules. It decides how much time and memory
a calculation takes. The energies do not depend on it, as long as ``tolerance`` and ``saddle`` stay.

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
        """The threshold for ``dtype``."""
        return self.double if dtype == torch.float64 else self.single


@dataclass(frozen=True)
class Strategy:
    """Thresholds for finding excited states; defaults rest on timings (``docs/speed.md``).

    Raises
    ------
    ValueError
        If a field is negative.
    """

    # ---- which method (esml.physics.solvers.problem) ----

    dense: int = 120
    """Largest number of single excitations (of the largest molecule of a batch) for which matrices
    are built and diagonalized. Measured by ``python -m scripts.speed.how_fast crossover``."""

    dense_per_state: int = 6
    """Matrices are also built up to this number of single excitations for each state wanted."""

    large: int = 150
    """From this number of orbitals on, iterations for a single molecule start from the pair model
    (:mod:`esml.physics.solvers.pair_model`) and may run between local orbitals."""

    widest_band: float = 0.5
    """Largest share of a matrix that its band may fill; above it, bands are not used. The matrices
    are the coefficients of local orbitals and the pairs of a hole and an electron."""

    chunk: int = 2**18
    """Largest number of elements of the densities (M, S, n, n) of vectors multiplied at once (at
    least one vector is): a megabyte stays in the cache of a core."""

    # ---- a closed shell that is not a minimum (esml.physics.excitations) ----

    saddle: float = 0.5
    """Largest instability, eV, at which there are excitation energies. If a stability matrix has an
    eigenvalue below minus this, the closed shell is far from a minimum and gets none. If all lie
    above, it is a minimum to within the error of a predicted gap; where one is negative, singlets
    follow from A alone (Tamm–Dancoff)."""

    # ---- iterations (esml.physics.solvers.davidson) ----

    tolerance: ByPrecision = ByPrecision(5e-4, 1e-8)
    """Largest norm of the residual of a converged state, eV. The error of its energy is the square
    of this, divided by the distance to other states."""

    slopes_tolerance: ByPrecision = ByPrecision(1e-6, 1e-8)
    """Largest norm of the residual of a state whose derivatives are wanted, eV, by the precision of
    the network. Errors of derivatives are of first order in it: these are below the rounding errors
    of the network. The iterations are in double precision."""

    start_tolerance: float = 0.05
    """Iterations for A ± B start from states of A alone. Largest norm of the residual of these
    states, eV."""

    crowd_tolerance: float = 0.15
    """Largest norm of the residual of states that only crowd the wanted ones, eV."""

    most_iterations: int = 200
    """Number of iterations after which ConvergenceError is raised."""

    guards: int = 2
    """Number of additional states that are followed, so that no wanted one is missed."""

    states_per_guard: int = 8
    """One more state is followed for each group of this many wanted ones."""

    equal_levels: float = 5e-4
    """Orbitals, or single excitations on the diagonal, closer than this count as equal, eV."""

    equal_share: float = 0.2
    """If this share of the orbitals equals the next one, a molecule has symmetry or equal parts."""

    more_guards: int = 8
    """Number of states followed besides, and of irregular start vectors, for such a molecule."""

    equal_most: int = 64
    """Largest number of start vectors more, because they are as low as the last one."""

    starts_per_state: int = 2
    """Number of start vectors for each state wanted."""

    kept_per_state: int = 2
    """Number of vectors that a full space keeps for each state followed."""

    plain_starts: int = 3
    """Number of single excitations among the start vectors if the others come from a model."""

    admixture: float = 0.03
    """Norm of the irregular part of a start vector, which breaks its symmetry."""

    memory: int = 3 * 2**30
    """Memory for the spaces of a batch, bytes; a space that needs more restarts from its best
    vectors."""

    growth_least: int = 3
    """Smallest number of iterations before a space restarts, if memory allows."""

    growth_most: int = 16
    """Largest number of iterations before a space restarts."""

    growth_worth: float = 2.5
    """A space restarts when it has this number times √d vectors, for d single excitations: the cost
    of the projected problem grows with the cube of the number of vectors, that of a product with
    √d³."""

    left_behind: float = 0.85
    """When at most this share of a batch's molecules is left unconverged, iterations continue with
    these as a smaller batch."""

    dependent: ByPrecision = ByPrecision(1e-3, 1e-7)
    """A unit vector is dropped if the norm of its part outside the space is below this."""

    independent: float = 0.1
    """Smallest norm at which a new direction counts as independent. Smaller ones are orthogonalized
    once more, because much of them is rounding error."""

    piece: int = 8192
    """Scalar products of vectors up to this length are summed in the precision of the vectors,
    those of longer ones in double precision."""

    correction_room: int = 2**22
    """Largest number of elements of residuals corrected at once: for large molecules, allocating
    memory costs more than computing."""

    # ---- orbitals driven by light (esml.physics.solvers.driven) ----

    driven_tolerance: float = 1e-6
    """Largest norm of the residual of converged driven orbitals, as a share of the norm of the
    perturbation."""

    driven_dependent: float = 1e-5
    """A unit vector is dropped if the norm of its part outside the space of driven orbitals is
    below this."""

    # ---- the projected problem (esml.physics.solvers.projection) ----

    smallest_inverse: float = 1e-9
    """Values of 1/ω² up to this (1/eV²) are rounding errors and give no state."""

    # ---- preconditioners (esml.physics.solvers.preconditioners) ----

    smallest_denominator: float = 0.3
    """Smallest absolute value of a denominator (diagonal element of A minus energy), eV."""

    smallest_pair_denominator: float = 0.05
    """Smallest absolute value of a denominator for the states of the pair model, eV."""

    decay_times: tuple[float, ...] = (0.05, 0.3, 1.5)
    """Times t of the exponentials exp(−tΔ) whose sum approximates 1/(Δ − ω), 1/eV."""

    rough: float = 1e-3
    """Coefficients below this are omitted from matrices used for preconditioning only."""

    # ---- local orbitals (esml.physics.solvers.local_orbitals, banded) ----

    coupled: float = 1e-2
    """Two basis functions are neighbours if their element of the density matrix exceeds this."""

    negligible: ByPrecision = ByPrecision(1e-5, 1e-10)
    """Coefficients below this are omitted from banded matrices."""

    strip_rows: int = 48
    """Number of rows in a strip of a banded matrix."""

    strip_holes: int = 48
    """Number of holes in a strip of near pairs; products of smaller strips are slow."""

    binding: float = 0.7
    """A pair is near if its hole and electron attract each other by more than this, eV."""

    # ---- the pair model (esml.physics.solvers.pair_model) ----

    pairs_per_atom: int = 2
    """Number of pairs in the model for each atom."""

    pairs_per_state: int = 4
    """Number of pairs in the model for each state wanted, if that is more."""

    singles_per_pair: int = 4
    """The model is used only if there are at least this many single excitations for each of its
    pairs."""

    frontier_width: float = 2.0
    """Energy τ over which the weight of an orbital decays away from HOMO or LUMO, eV."""

    frontier_rank: float = 0.05
    """The Cholesky decomposition of the frontier density ends at pivots below this share of the
    largest one."""

    frontier_norm: float = 1e-6
    """When local orbitals are orthonormalized, eigenvalues of their overlap below this are raised
    to it."""

    frontier_overlap: float = 1e-4
    """Local orbitals whose densities overlap by less than this, and coefficients below it, are
    omitted from the exchange."""

    frontier_strip: int = 32
    """Number of holes whose exchange is evaluated together."""

    crowd: float = 0.2
    """States up to this far above the highest wanted one crowd it and are separated with it, eV."""

    crowd_most: int = 256
    """Largest number of states that are separated together."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if any(x < 0 for x in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{field.name} of a strategy must not be negative, got {value}")


DEFAULT = Strategy()
"""The strategy used if a caller gives none."""
