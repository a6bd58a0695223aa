"""The pair model of a large molecule, from which its iterations start.

The canonical orbitals of a large molecule spread over all of it, and the differences of their
energies say little about an electron bound to its hole. Iterations preconditioned with orbital
energies therefore need more and more steps as molecules grow and states become dense.

The pair model works with local orbitals instead. Frontier orbitals are localized, the pairs of a
hole and an electron lowest in energy (including their attraction) are selected, and the matrix A
between these pairs is diagonalized. Its states start the iterations and its inverse preconditions
them (:mod:`esml.physics.solvers.davidson`); the result does not depend on it.

Orbitals are localized by pivoted Cholesky decomposition of the frontier density Σ_i w_i c_i c_iᵀ,
w_i = exp(−|ε_i − ε_F|/τ) (Aquilante et al., J. Chem. Phys. 125, 174101, 2006). Its pivots are the
basis functions on which the local orbitals are centred.

Shape letters: n orbitals of the basis, o and v occupied and virtual ones, h and e local holes and
electrons, p pairs of these, d amplitudes of a vector. One molecule at a time. Energies in eV.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from scipy.linalg.lapack import dpstrf
from torch import Tensor

from esml.physics.kernel import Kernel
from esml.physics.response import DenseOrbitals
from esml.physics.solvers.banded import PairWindow, WindowTurn
from esml.physics.solvers.local_orbitals import in_line
from esml.physics.strategy import Strategy
from esml.typing import Multiplicity


class Frontier:
    """The pairs of local frontier orbitals lowest in energy, including their attraction.

    Parameters
    ----------
    between:
        Holds the orbitals; those of its first molecule are used.
    n_pairs:
        Number of pairs.
    strategy:
        Thresholds of localization and exchange.
    """

    def __init__(self, between: DenseOrbitals, n_pairs: int, strategy: Strategy) -> None:
        occupied, virtual = between.occupied[0], between.virtual[0]
        fock_occupied, fock_virtual = between.fock_occupied[0], between.fock_virtual[0]
        minus_exchange = between.kernel.minus_exchange["singlet"][0]
        self.turn_hole = _localized(occupied, -fock_occupied.diagonal(), strategy)  # (o, h)
        self.turn_electron = _localized(virtual, fock_virtual.diagonal(), strategy)  # (v, e)
        self.hole, self.electron = occupied @ self.turn_hole, virtual @ self.turn_electron
        lower = self.turn_hole.mT @ fock_occupied @ self.turn_hole
        upper = self.turn_electron.mT @ fock_virtual @ self.turn_electron
        attraction = self.hole.mT.square() @ minus_exchange @ self.electron.square()
        energies = upper.diagonal() - lower.diagonal()[:, None] + attraction
        self.place = energies.flatten().argsort(stable=True)[:n_pairs]  # (p,) in (h, e), flattened
        i, a = self.i, self.a = self.place // energies.shape[1], self.place % energies.shape[1]
        matrix = upper[a[:, None], a] * (i[:, None] == i) - lower[i[:, None], i] * (a[:, None] == a)
        matrix += _exchange(self.hole, self.electron, i, a, minus_exchange, strategy)
        self.matrix = matrix  # (p, p) A of singlets without K

    @property
    def embedding(self) -> Embedding:
        """Transforms between pairs and amplitudes of the orbitals that the pairs are made of."""
        return Embedding(self.turn_hole, self.turn_electron, self.place)


@dataclass(frozen=True)
class Embedding:
    """Transforms between amplitudes (o, v) of orbitals and amplitudes (p) of local pairs."""

    hole: Tensor  # (o, h) local holes in terms of the occupied orbitals
    electron: Tensor  # (v, e) local electrons in terms of the virtual orbitals
    place: Tensor  # (p,) index of each pair in (h, e), flattened

    def gathered(self, amplitudes: Tensor) -> Tensor:
        """Return the components (S, p) of ``amplitudes`` (S, o·v) in the pairs."""
        shape = len(amplitudes), len(self.hole), len(self.electron)
        local = self.hole.mT @ (amplitudes.view(shape) @ self.electron)
        return local.flatten(1)[:, self.place]

    def spread(self, pairs: Tensor) -> Tensor:
        """Return amplitudes (S, o·v) from those of the ``pairs`` (S, p)."""
        local = pairs.new_zeros((len(pairs), self.hole.shape[1] * self.electron.shape[1]))
        local[:, self.place] = pairs
        local = local.view(len(pairs), self.hole.shape[1], -1)
        found: Tensor = (self.hole @ (local @ self.electron.mT)).flatten(1)
        return found

    def turned(self, occupied: Tensor, virtual: Tensor) -> Embedding:
        """Return the embedding for orbitals rotated by ``occupied`` and ``virtual``."""
        return Embedding(occupied.mT @ self.hole, virtual.mT @ self.electron, self.place)

    def within(self, window: PairWindow, negligible: float) -> WindowEmbedding:
        """Return the embedding in amplitudes (S, w) of a ``window`` on local orbitals (o, v)."""
        # Order the frontier orbitals like the local orbitals of the window.
        hole, electron = (x.abs().argmax(0).argsort() for x in (self.hole, self.electron))
        i, a = self.place // len(electron), self.place % len(electron)
        place = hole.argsort()[i] * len(electron) + electron.argsort()[a]
        pairs = torch.zeros(len(hole), len(electron), dtype=torch.bool, device=hole.device)
        pairs.view(-1)[place] = True
        sides = self.hole[:, hole], self.electron[:, electron]
        return WindowEmbedding(WindowTurn(window, *sides, pairs, negligible), pairs.shape, place)


@dataclass(frozen=True)
class WindowEmbedding:
    """Transforms between amplitudes (w) in a window and amplitudes (p) of local pairs."""

    turn: WindowTurn
    shape: torch.Size  # (h, e)
    place: Tensor  # (p,) index of each pair in (h, e), flattened

    def gathered(self, amplitudes: Tensor) -> Tensor:
        """Return the components (S, p) of ``amplitudes`` (S, w) in the pairs."""
        return self.turn.turned(amplitudes).flatten(1)[:, self.place]

    def spread(self, pairs: Tensor) -> Tensor:
        """Return amplitudes (S, w) from those of the ``pairs`` (S, p)."""
        local = pairs.new_zeros((len(pairs), self.shape.numel()))
        local[:, self.place] = pairs
        return self.turn.back(local.unflatten(1, self.shape))


@dataclass(frozen=True)
class PairModel:
    """The states of A between the pairs of a frontier."""

    energies: Tensor  # (p,) eV, ascending
    states: Tensor  # (p, p) columns
    embedding: Embedding  # embeds the pairs in amplitudes between orbitals
    view: Embedding | WindowEmbedding  # embeds the pairs in the vectors of the iterations
    strategy: Strategy

    @classmethod
    def of(
        cls, frontier: Frontier, kernel: Kernel, coupling: Multiplicity, strategy: Strategy
    ) -> PairModel:
        """Make the model of the first molecule of ``kernel`` for the multiplicity ``coupling``."""
        hole, electron, i, a = frontier.hole, frontier.electron, frontier.i, frontier.a
        products = (hole[:, i] * electron[:, a]).mT  # (p, n)
        matrix = frontier.matrix + products @ kernel.monopoles[coupling][0] @ products.mT
        exchange = kernel.minus_exchange
        if bool((less := exchange[coupling][0] - exchange["singlet"][0]).any()):
            matrix += _exchange(hole, electron, i, a, less, strategy)
        row, column = kernel.row[0].flatten(), kernel.column[0].flatten()
        blocks = (hole[row][:, i] * electron[column][:, a]).mT.unflatten(1, (-1, 16))
        coupled = torch.einsum("phx,hxy->phy", blocks, kernel.blocks[coupling][0])
        matrix += coupled.flatten(1) @ blocks.flatten(1).mT
        energies, states = torch.linalg.eigh(0.5 * (matrix + matrix.mT))
        return cls(energies, states, frontier.embedding, frontier.embedding, strategy)

    def turned(self, occupied: Tensor, virtual: Tensor) -> PairModel:
        """Return the same model for orbitals rotated by (o, o) and (v, v)."""
        embedding = self.embedding.turned(occupied, virtual)
        return replace(self, embedding=embedding, view=embedding)

    def within(self, window: PairWindow) -> PairModel:
        """Return the same model for vectors (S, w) in a ``window`` on pairs of local orbitals."""
        return replace(self, view=self.embedding.within(window, self.strategy.rough))

    def crowd(self, n_states: int) -> int:
        """Return the number of states up to the last one that crowds the ``n_states``-th."""
        highest = self.energies[min(n_states, len(self.energies)) - 1] + self.strategy.crowd
        return min(self.strategy.crowd_most, int((self.energies < highest).sum()))

    def lowest(self, n_states: int) -> Tensor:
        """Return the lowest states (S, d), at most ``n_states``."""
        return self.view.spread(self.states[:, :n_states].mT)

    def corrected(self, correction: Tensor, residual: Tensor, omega: Tensor) -> Tensor:
        """Replace the components of ``correction`` (S, d) in the model by (A − ω)⁻¹ r.

        Parameters
        ----------
        correction:
            (S, d) from another preconditioner.
        residual:
            (S, d) r, eV.
        omega:
            (S, 1) ω, eV.
        """
        residual, old = (self.view.gathered(x) @ self.states for x in (residual, correction))
        denominator = self.energies - omega
        size = denominator.abs().clamp(min=self.strategy.smallest_pair_denominator)
        answer = residual / torch.where(denominator < 0, -size, size)
        return correction + self.view.spread((answer - old) @ self.states.mT)


def _localized(orbitals: Tensor, energies: Tensor, strategy: Strategy) -> Tensor:
    """Return local orbitals as orthonormal combinations (k, r) of the ``orbitals`` (n, k).

    ``energies`` (k,) increase away from the gap, for occupied orbitals as well.
    """
    weight = torch.exp(-(energies - energies.min()) / strategy.frontier_width).sqrt()
    weighted = orbitals * weight
    density = (weighted @ weighted.mT).double().cpu().numpy()
    least = strategy.frontier_rank * float(density.diagonal().max())
    _, pivots, rank, _ = dpstrf(density, tol=least)
    chosen = torch.from_numpy(pivots[:rank].astype("int64") - 1).to(orbitals.device)
    local = (weighted[chosen] * weight).mT
    values, axes = torch.linalg.eigh(local.mT @ local)
    scale = values.clamp(min=strategy.frontier_norm).rsqrt()
    orthonormal: Tensor = local @ (axes * scale) @ axes.mT
    return orthonormal


def _exchange(
    hole: Tensor,
    electron: Tensor,
    i: Tensor,
    a: Tensor,
    minus_exchange: Tensor,
    strategy: Strategy,
) -> Tensor:
    """Return −Σ_AB q^A_ij γ_AB q^B_ab (p, p), zero where i and j, or a and b, are far apart."""
    least = strategy.frontier_overlap
    beside_hole, beside_electron = _beside(hole, least), _beside(electron, least)
    found = minus_exchange.new_zeros((len(i), len(i)))
    # A strip of neighbouring holes interacts with few others and has few basis functions.
    for holes in in_line(beside_hole).split(strategy.frontier_strip):
        mine = torch.isin(i, holes).nonzero()[:, 0]
        near = beside_hole[holes].any(0)[i] & beside_electron[a[mine]].any(0)[a]
        theirs = near.nonzero()[:, 0]
        rows, first, of_first = _overlapping(hole, i[mine], i[theirs], beside_hole, least)
        columns, last, of_last = _overlapping(electron, a[mine], a[theirs], beside_electron, least)
        between = first.mT @ minus_exchange[rows[:, None], columns] @ last
        between = torch.nn.functional.pad(between, (0, 1, 0, 1))
        found[mine[:, None], theirs] = between[of_first, of_last]
    return found


def _beside(local: Tensor, least: float) -> Tensor:
    """Return (r, r), True where local orbitals (n, r) overlap by more than ``least``."""
    density = local.square()
    return density.mT @ density > least


def _overlapping(
    local: Tensor, one: Tensor, other: Tensor, beside: Tensor, least: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Multiply the local orbitals ``one`` (x,) by the overlapping ones of ``other`` (y,).

    Returns the basis functions (m,) with coefficients above ``least``, the products (m, P) on them,
    and for each pair (x, y) the index of its product, or P if there is none.
    """
    (mine, of_mine), (theirs, of_theirs) = (x.unique(return_inverse=True) for x in (one, other))
    row, column = beside[mine[:, None], theirs].nonzero().unbind(1)
    functions = (local[:, mine].abs() > least).any(1).nonzero()[:, 0]
    part = local[functions]
    place = row.new_full((len(mine), len(theirs)), len(row))
    place[row, column] = torch.arange(len(row), device=row.device)
    products = part[:, mine[row]] * part[:, theirs[column]]
    return functions, products, place[of_mine[:, None], of_theirs]
