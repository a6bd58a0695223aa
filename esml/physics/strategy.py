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
    """How excited states are found; the defaults are measured (``docs/speed.md``).

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
    """Largest share of a matrix that a band may fill and still be used: of the coefficients of
    local orbitals, and of all pairs of a hole and an electron."""

    chunk: int = 2**18
    """Numbers in the densities (M, S, n, n) of the vectors multiplied at once, but at least one
    vector: a megabyte stays in the cache of a core."""

    # ---- a closed shell that is no minimum (esml.physics.excitations) ----

    saddle: float = 0.5
    """A closed shell whose stability matrices have eigenvalues below minus this is far from a
    minimum: it gets no excitation energies, eV. Above, it is one to within the error of a predicted
    gap, and its singlets follow from A alone (Tamm–Dancoff)."""

    # ---- iterations (esml.physics.solvers.davidson) ----

    tolerance: ByPrecision = ByPrecision(5e-4, 1e-8)
    """Largest norm of the residual of a converged state, eV. The error of its energy is the square
    of this, divided by the distance to other states."""

    start_tolerance: float = 0.05
    """Largest norm of the residual of the states of A alone from which the iterations for A ± B
    start, eV."""

    crowd_tolerance: float = 0.15
    """Largest norm of the residual of states that only crowd the wanted ones, eV."""

    most_iterations: int = 200
    """Iterations after which ConvergenceError is raised."""

    guards: int = 2
    """Additional states that are followed, so that no wanted one is missed."""

    states_per_guard: int = 8
    """One more state is followed for each group of this many wanted ones."""

    starts_per_state: int = 2
    """Start vectors for each state wanted."""

    kept_per_state: int = 2
    """Vectors that a full space keeps for each state followed."""

    plain_starts: int = 3
    """Single excitations among the start vectors if the others come from a model."""

    admixture: float = 0.03
    """Norm of the irregular part of a start vector, which breaks its symmetry."""

    memory: int = 3 * 2**30
    """Bytes for the spaces of a batch; one that outgrows them restarts from its best vectors."""

    growth_least: int = 3
    """Iterations before a space restarts: the minimum, if memory allows."""

    growth_most: int = 16
    """Iterations before a space restarts: the maximum."""

    growth_worth: float = 2.5
    """A space restarts at this number of vectors times √d, d single excitations: the cost of the
    projected problem grows with the cube of the number of vectors, the cost of a product with
    √d³."""

    left_behind: float = 0.85
    """When at most this share of a batch's molecules has not converged, they are iterated as a
    smaller batch."""

    dependent: ByPrecision = ByPrecision(1e-3, 1e-7)
    """Norm of the part of a unit vector outside the space below which it is dropped."""

    independent: float = 0.1
    """Smallest norm at which a new direction counts as independent; below it, it is orthogonalized
    once more, as much of it is rounding error."""

    piece: int = 8192
    """Length of vectors up to which scalar products are summed in the precision of the vectors;
    for longer ones in double precision."""

    correction_room: int = 2**22
    """Numbers in the residuals corrected at once: for large molecules, allocating memory costs more
    than computing."""

    # ---- orbitals driven by light (esml.physics.solvers.driven) ----

    driven_tolerance: float = 1e-6
    """Largest norm of the residual of converged driven orbitals, as a share of the norm of the
    perturbation."""

    driven_dependent: float = 1e-5
    """Norm of the part of a unit vector outside their space below which it is dropped."""

    # ---- the projected problem (esml.physics.solvers.projection) ----

    smallest_inverse: float = 1e-9
    """Values of 1/ω² up to this are rounding errors and give no state, 1/eV²."""

    # ---- preconditioners (esml.physics.solvers.preconditioners) ----

    smallest_denominator: float = 0.3
    """Smallest absolute value of a denominator (diagonal element of A minus energy), eV."""

    smallest_pair_denominator: float = 0.05
    """Smallest absolute value of a denominator for the states of the pair model, eV."""

    decay_times: tuple[float, ...] = (0.05, 0.3, 1.5)
    """Times t of the exponentials exp(−tΔ) whose sum approximates 1/(Δ − ω), 1/eV."""

    rough: float = 1e-3
    """Coefficients below this are omitted from matrices that only precondition."""

    # ---- local orbitals (esml.physics.solvers.local_orbitals, banded) ----

    coupled: float = 1e-2
    """Two basis functions are neighbours if their element of the density matrix exceeds this."""

    negligible: ByPrecision = ByPrecision(1e-5, 1e-10)
    """Coefficients below this are omitted from banded matrices."""

    strip_rows: int = 48
    """Rows of a strip of a banded matrix."""

    strip_holes: int = 48
    """Holes of a strip of near pairs; products of smaller strips are slow."""

    binding: float = 0.7
    """A pair is near if its hole and electron attract each other by more than this, eV."""

    # ---- the pair model (esml.physics.solvers.pair_model) ----

    pairs_per_atom: int = 2
    """Pairs in the model for each atom."""

    pairs_per_state: int = 4
    """Pairs in the model for each state wanted, if that is more."""

    singles_per_pair: int = 4
    """The model is used only from this number of single excitations for each of its pairs on."""

    frontier_width: float = 2.0
    """Energy τ over which the weight of an orbital decays away from HOMO or LUMO, eV."""

    frontier_rank: float = 0.05
    """Pivot, as a share of the largest one, at which the Cholesky decomposition of the frontier
    density ends."""

    frontier_norm: float = 1e-6
    """Smallest eigenvalue of the overlap of local orbitals that they are orthonormalized with;
    smaller ones are raised to it."""

    frontier_overlap: float = 1e-4
    """Local orbitals whose densities overlap by less, and coefficients below this, are omitted from
    the exchange."""

    frontier_strip: int = 32
    """Holes whose exchange is evaluated together."""

    crowd: float = 0.2
    """States up to so far above the highest wanted one crowd it and are separated with it, eV."""

    crowd_most: int = 256
    """Largest number of states that are separated together."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if any(x < 0 for x in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{field.name} of a strategy must not be negative, got {value}")


DEFAULT = Strategy()
"""The strategy used if a caller gives none."""
