"""A small model of a large molecule, pairs of local orbitals: where iterations start.

The canonical orbitals of a large molecule spread over all of it, and no difference of their
energies is near that of an electron bound to its hole: iterations that know of orbital energies
only take ever more steps as molecules grow and states crowd. Local orbitals know more. Here a small
model of the molecule is solved exactly: frontier orbitals made local, the pairs of them lowest in
energy, attraction included, and the matrix A between those pairs. Its states start the iterations
and its inverse replaces that of the diagonal within its space
(:mod:`esml.physics.solvers.davidson`); what the iterations converge to does not depend on it.

Orbitals are localized by pivoted Cholesky decomposition of the density of the frontier,
Σ_i w_i c_i c_iᵀ with w_i = exp(−|ε_i − ε_F|/τ) (Aquilante et al., J. Chem. Phys. 125, 174101,
2006): its pivots are the atomic orbitals on which local ones are centred.

Shape letters: n orbitals of the basis, o and v occupied and virtual ones, h and e local holes and
electrons, p pairs of these, d amplitudes of a vector. One molecule at a time. Energies in eV.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from scipy.linalg.lapack import dpstrf
from torch import Tensor

from esml.physics.response import DenseOrbitals, Kernel, Multiplicity
from esml.physics.solvers.banded import Window, WindowTurn
from esml.physics.solvers.local_orbitals import in_line
from esml.physics.solvers.strategy import Strategy


class Frontier:
    """The ``n_pairs`` pairs of local orbitals lowest in energy, attraction included.

    They are made of the orbitals of the first molecule of ``between``.
    """

    def __init__(self, between: DenseOrbitals, n_pairs: int, strategy: Strategy) -> None:
        occupied, virtual = between.occupied[0], between.virtual[0]
        fock_occupied, fock_virtual = between.fock_occupied[0], between.fock_virtual[0]
        minus_exchange = between.kernel.minus_exchange[0]
        self.turn_hole = _localized(occupied, -fock_occupied.diagonal(), strategy)  # (o, h)
        self.turn_electron = _localized(virtual, fock_virtual.diagonal(), strategy)  # (v, e)
        self.hole, self.electron = occupied @ self.turn_hole, virtual @ self.turn_electron
        lower = self.turn_hole.mT @ fock_occupied @ self.turn_hole
        upper = self.turn_electron.mT @ fock_virtual @ self.turn_electron
        attraction = self.hole.mT.square() @ minus_exchange @ self.electron.square()
        level = upper.diagonal() - lower.diagonal()[:, None] + attraction
        self.place = level.flatten().argsort(stable=True)[:n_pairs]  # (p,) in (h, e), flattened
        i, a = self.i, self.a = self.place // level.shape[1], self.place % level.shape[1]
        matrix = upper[a[:, None], a] * (i[:, None] == i) - lower[i[:, None], i] * (a[:, None] == a)
        matrix += _exchange(self.hole, self.electron, i, a, minus_exchange, strategy)
        self.matrix = matrix  # (p, p) what singlets and triplets have in common

    @property
    def embedding(self) -> Embedding:
        """Where the pairs stand among amplitudes between the orbitals they are made of."""
        return Embedding(self.turn_hole, self.turn_electron, self.place)


@dataclass(frozen=True)
class Embedding:
    """Where the pairs of local orbitals stand among the amplitudes T (o, v) of vectors."""

    hole: Tensor  # (o, h) local holes in terms of the occupied orbitals
    electron: Tensor  # (v, e) local electrons in terms of the virtual orbitals
    place: Tensor  # (p,) of the pairs in (h, e), flattened

    def gathered(self, amplitudes: Tensor) -> Tensor:
        """(S, p) the part of ``amplitudes`` (S, o·v) in each pair."""
        shape = len(amplitudes), len(self.hole), len(self.electron)
        local = self.hole.mT @ (amplitudes.view(shape) @ self.electron)
        return local.flatten(1)[:, self.place]

    def spread(self, pairs: Tensor) -> Tensor:
        """(S, o·v) amplitudes made of those of ``pairs`` (S, p)."""
        local = pairs.new_zeros((len(pairs), self.hole.shape[1] * self.electron.shape[1]))
        local[:, self.place] = pairs
        local = local.view(len(pairs), self.hole.shape[1], -1)
        found: Tensor = (self.hole @ (local @ self.electron.mT)).flatten(1)
        return found

    def turned(self, occupied: Tensor, virtual: Tensor) -> Embedding:
        """The same between other orbitals: these times rotations (o, o) and (v, v)."""
        return Embedding(occupied.mT @ self.hole, virtual.mT @ self.electron, self.place)

    def within(self, window: Window, negligible: float) -> WindowEmbedding:
        """The same for vectors (S, w) of the pairs of local orbitals in a ``window`` on (o, v)."""
        # The local holes and electrons, put in line with those of the window.
        hole, electron = (x.abs().argmax(0).argsort() for x in (self.hole, self.electron))
        i, a = self.place // len(electron), self.place % len(electron)
        place = hole.argsort()[i] * len(electron) + electron.argsort()[a]
        pairs = torch.zeros(len(hole), len(electron), dtype=torch.bool, device=hole.device)
        pairs.view(-1)[place] = True
        sides = self.hole[:, hole], self.electron[:, electron]
        return WindowEmbedding(WindowTurn(window, *sides, pairs, negligible), pairs.shape, place)


@dataclass(frozen=True)
class WindowEmbedding:
    """The same among the amplitudes (w) of pairs in a window."""

    turn: WindowTurn
    shape: torch.Size  # (h, e)
    place: Tensor  # (p,)

    def gathered(self, amplitudes: Tensor) -> Tensor:
        """(S, p) the part of ``amplitudes`` (S, w) in each pair."""
        return self.turn.turned(amplitudes).flatten(1)[:, self.place]

    def spread(self, pairs: Tensor) -> Tensor:
        """(S, w) amplitudes made of those of ``pairs`` (S, p)."""
        local = pairs.new_zeros((len(pairs), self.shape.numel()))
        local[:, self.place] = pairs
        return self.turn.back(local.unflatten(1, self.shape))


@dataclass(frozen=True)
class PairModel:
    """The states of the pairs of a frontier, and where these stand among amplitudes."""

    energies: Tensor  # (p,) eV, ascending
    states: Tensor  # (p, p) columns
    embedding: Embedding  # of the pairs among amplitudes between orbitals
    view: Embedding | WindowEmbedding  # and among those of the vectors in use
    strategy: Strategy

    @classmethod
    def of(
        cls, frontier: Frontier, kernel: Kernel, coupling: Multiplicity, strategy: Strategy
    ) -> PairModel:
        """The model with the ``coupling`` of the first molecule of ``kernel``."""
        hole, electron, i, a = frontier.hole, frontier.electron, frontier.i, frontier.a
        products = (hole[:, i] * electron[:, a]).mT  # (p, n)
        matrix = frontier.matrix + products @ kernel.monopoles[coupling][0] @ products.mT
        row, column = kernel.row[0].flatten(), kernel.column[0].flatten()
        blocks = (hole[row][:, i] * electron[column][:, a]).mT.unflatten(1, (-1, 16))
        coupled = torch.einsum("phx,hxy->phy", blocks, kernel.blocks[coupling][0])
        matrix += coupled.flatten(1) @ blocks.flatten(1).mT
        energies, states = torch.linalg.eigh(0.5 * (matrix + matrix.mT))
        return cls(energies, states, frontier.embedding, frontier.embedding, strategy)

    def turned(self, occupied: Tensor, virtual: Tensor) -> PairModel:
        """The same between other orbitals: these times rotations (o, o) and (v, v)."""
        embedding = self.embedding.turned(occupied, virtual)
        return replace(self, embedding=embedding, view=embedding)

    def within(self, window: Window) -> PairModel:
        """The same for vectors (S, w) of the pairs of local orbitals in a ``window``."""
        return replace(self, view=self.embedding.within(window, self.strategy.rough))

    def crowd(self, n_states: int) -> int:
        """How many states there are up to those that crowd the ``n_states``-th."""
        highest = self.energies[min(n_states, len(self.energies)) - 1] + self.strategy.crowd
        return min(self.strategy.crowd_most, int((self.energies < highest).sum()))

    def lowest(self, n_states: int) -> Tensor:
        """(S, d) the lowest states, at most ``n_states``."""
        return self.view.spread(self.states[:, :n_states].mT)

    def corrected(self, correction: Tensor, residual: Tensor, omega: Tensor) -> Tensor:
        """``correction`` (S, d) with its part within the model exchanged.

        The model answers (A − ω)⁻¹ of the ``residual`` (S, d); ``omega`` (S, 1), eV.
        """
        residual, old = (self.view.gathered(x) @ self.states for x in (residual, correction))
        denominator = self.energies - omega
        size = denominator.abs().clamp(min=self.strategy.smallest_pair_denominator)
        answer = residual / torch.where(denominator < 0, -size, size)
        return correction + self.view.spread((answer - old) @ self.states.mT)


def _localized(orbitals: Tensor, level: Tensor, strategy: Strategy) -> Tensor:
    """Local orbitals in terms of the ``orbitals`` (n, k), orthonormal columns (k, r)."""
    weight = torch.exp(-(level - level.min()) / strategy.frontier_width).sqrt()
    weighted = orbitals * weight
    density = (weighted @ weighted.mT).double().cpu().numpy()
    least = strategy.frontier_rank * float(density.diagonal().max())
    _, pivots, rank, _ = dpstrf(density, tol=least)
    chosen = torch.from_numpy(pivots[:rank].astype("int64") - 1).to(orbitals.device)
    local = (weighted[chosen] * weight).mT
    values, axes = torch.linalg.eigh(local.mT @ local)
    orthonormal: Tensor = local @ (axes * values.clamp(min=1e-6).rsqrt()) @ axes.mT
    return orthonormal


def _exchange(
    hole: Tensor,
    electron: Tensor,
    i: Tensor,
    a: Tensor,
    minus_exchange: Tensor,
    strategy: Strategy,
) -> Tensor:
    """−Σ_AB q^A_ij γ_AB q^B_ab (p, p), zero where i and j, or a and b, are far apart."""
    least = strategy.frontier_overlap
    beside_hole, beside_electron = _beside(hole, least), _beside(electron, least)
    found = minus_exchange.new_zeros((len(i), len(i)))
    # A strip of holes in line has to do with few others and with few functions of the basis.
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
    """(r, r) which of the local orbitals (n, r) overlap by more than ``least``."""
    density = local.square()
    return density.mT @ density > least


def _overlapping(
    local: Tensor, one: Tensor, other: Tensor, beside: Tensor, least: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Products of the local orbitals ``one`` (x,) with those of ``other`` (y,) that overlap.

    The basis functions (m,) where there is more than ``least`` of them, the products (m, P) there,
    and the place (x, y) of each, or P.
    """
    (mine, of_mine), (theirs, of_theirs) = (x.unique(return_inverse=True) for x in (one, other))
    row, column = beside[mine[:, None], theirs].nonzero().unbind(1)
    functions = (local[:, mine].abs() > least).any(1).nonzero()[:, 0]
    part = local[functions]
    place = row.new_full((len(mine), len(theirs)), len(row))
    place[row, column] = torch.arange(len(row), device=row.device)
    products = part[:, mine[row]] * part[:, theirs[column]]
    return functions, products, place[of_mine[:, None], of_theirs]
