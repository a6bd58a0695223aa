"""Excitons of a large molecule from pairs of local orbitals: where iterations start.

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
electrons, p pairs of these. One molecule at a time. Energies in eV.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import torch
from scipy.linalg.lapack import dpstrf
from torch import Tensor

from esml.physics.solvers.locality import NearTurn, Window, in_line

WIDTH = 2.0
"""τ, eV: how far from the frontier orbitals count."""

CROWD = 0.2
"""eV within which states count as crowded: told apart only together."""

MOST = 256
"""States that are told apart together."""

STRIP = 32
"""Holes whose exchange with others is evaluated together."""

_RANK = 0.05  # of the largest diagonal element; where Cholesky decomposition ends
_NEAR = 1e-4  # overlap of densities, and coefficient, of local orbitals that interact by exchange
_SMALLEST_DENOMINATOR = 0.05  # eV


class Frontier:
    """The ``n_pairs`` pairs of local orbitals lowest in energy, attraction included.

    ``occupied`` (n, o) and ``virtual`` (n, v) are the orbitals of a molecule, with Fock matrices
    ``fock_occupied`` (o, o) and ``fock_virtual`` (v, v), relaxed; ``minus_exchange`` (n, n) is
    −γ^J.
    """

    def __init__(
        self,
        occupied: Tensor,
        virtual: Tensor,
        fock_occupied: Tensor,
        fock_virtual: Tensor,
        minus_exchange: Tensor,
        n_pairs: int,
    ) -> None:
        self.turn_hole = _localized(occupied, -fock_occupied.diagonal())  # (o, h)
        self.turn_electron = _localized(virtual, fock_virtual.diagonal())  # (v, e)
        self.hole, self.electron = occupied @ self.turn_hole, virtual @ self.turn_electron
        lower = self.turn_hole.mT @ fock_occupied @ self.turn_hole
        upper = self.turn_electron.mT @ fock_virtual @ self.turn_electron
        attraction = self.hole.mT.square() @ minus_exchange @ self.electron.square()
        level = upper.diagonal() - lower.diagonal()[:, None] + attraction
        self.place = level.flatten().argsort(stable=True)[:n_pairs]  # (p,) in (h, e), flattened
        i, a = self.i, self.a = self.place // level.shape[1], self.place % level.shape[1]
        matrix = upper[a[:, None], a] * (i[:, None] == i) - lower[i[:, None], i] * (a[:, None] == a)
        matrix += _exchange(self.hole, self.electron, i, a, minus_exchange)
        self.matrix = matrix  # (p, p) what singlets and triplets have in common


@dataclass(frozen=True)
class Coupling:
    """What couples pairs of one multiplicity."""

    monopoles: Tensor  # (n, n) between the diagonals of two densities
    blocks: Tensor  # (H, 16, 16) between the blocks of two densities on one atom
    row: Tensor  # (16 H,) orbitals of the elements of those blocks
    column: Tensor  # (16 H,)


class Excitons:
    """The model of a molecule: the states of the pairs of its ``frontier``."""

    def __init__(self, frontier: Frontier, coupling: Coupling) -> None:
        self._hole, self._electron = frontier.turn_hole, frontier.turn_electron
        self._place = frontier.place
        hole, electron, i, a = frontier.hole, frontier.electron, frontier.i, frontier.a
        products = (hole[:, i] * electron[:, a]).mT  # (p, n)
        matrix = frontier.matrix + products @ coupling.monopoles @ products.mT
        blocks = (hole[coupling.row][:, i] * electron[coupling.column][:, a]).mT
        blocks = blocks.unflatten(1, (-1, 16))
        turned = torch.einsum("phx,hxy->phy", blocks, coupling.blocks)
        matrix += turned.flatten(1) @ blocks.flatten(1).mT
        self._turn: NearTurn | None = None
        self.energies, self._states = torch.linalg.eigh(0.5 * (matrix + matrix.mT))

    def turn(self, occupied: Tensor, virtual: Tensor) -> None:
        """Speak from now on of other orbitals: canonical ones times rotations (o, o), (v, v)."""
        self._hole, self._electron = occupied.mT @ self._hole, virtual.mT @ self._electron

    def within(self, window: Window) -> Excitons:
        """The same for vectors (S, w) of the pairs in a ``window`` on all pairs (o, v).

        Of local orbitals, which the model's own are put in line with.
        """
        found = copy(self)
        hole, electron = (x.abs().argmax(0).argsort() for x in (self._hole, self._electron))
        i, a = self._place // len(electron), self._place % len(electron)
        found._place = hole.argsort()[i] * len(electron) + electron.argsort()[a]
        pairs = torch.zeros(len(hole), len(electron), dtype=torch.bool, device=hole.device)
        pairs.view(-1)[found._place] = True
        found._turn = NearTurn(window, self._hole[:, hole], self._electron[:, electron], pairs)
        return found

    def crowd(self, n_states: int) -> int:
        """How many states there are up to ``CROWD`` above the ``n_states``-th, at most ``MOST``."""
        highest = self.energies[min(n_states, len(self.energies)) - 1] + CROWD
        return min(MOST, int((self.energies < highest).sum()))

    def lowest(self, n_states: int) -> Tensor:
        """(S, o·v) the lowest states, at most ``n_states``, in terms of canonical orbitals."""
        return self._spread(self._states[:, :n_states].mT)

    def corrected(self, correction: Tensor, residual: Tensor, omega: Tensor) -> Tensor:
        """``correction`` (S, o·v) with its part within the model exchanged.

        The model answers (A − ω)⁻¹ of the ``residual``; ``omega`` (S, 1), eV.
        """
        residual, old = (self._gathered(x) @ self._states for x in (residual, correction))
        denominator = self.energies - omega
        size = denominator.abs().clamp(min=_SMALLEST_DENOMINATOR)
        answer = residual / torch.where(denominator < 0, -size, size)
        return correction + self._spread((answer - old) @ self._states.mT)

    def _gathered(self, amplitudes: Tensor) -> Tensor:
        """(S, p) the part of ``amplitudes`` (S, o·v) in each pair."""
        if self._turn is not None:
            return self._turn.turned(amplitudes).flatten(1)[:, self._place]
        shape = len(amplitudes), len(self._hole), len(self._electron)
        local = self._hole.mT @ (amplitudes.view(shape) @ self._electron)
        return local.flatten(1)[:, self._place]

    def _spread(self, amplitudes: Tensor) -> Tensor:
        """(S, o·v) the amplitudes (S, p) of pairs, in canonical orbitals."""
        h, e = self._hole.shape[1], self._electron.shape[1]
        local = amplitudes.new_zeros((len(amplitudes), h * e))
        local[:, self._place] = amplitudes
        local = local.view(-1, h, e)
        if self._turn is not None:
            return self._turn.back(local)
        canonical: Tensor = (self._hole @ (local @ self._electron.mT)).flatten(1)
        return canonical


def _localized(orbitals: Tensor, level: Tensor) -> Tensor:
    """Local orbitals in terms of the ``orbitals`` (n, k), orthonormal columns (k, r)."""
    weight = torch.exp(-(level - level.min()) / WIDTH).sqrt()
    weighted = orbitals * weight
    density = (weighted @ weighted.mT).double().cpu().numpy()
    _, pivots, rank, _ = dpstrf(density, tol=_RANK * float(density.diagonal().max()))
    chosen = torch.from_numpy(pivots[:rank].astype("int64") - 1).to(orbitals.device)
    local = (weighted[chosen] * weight).mT
    values, axes = torch.linalg.eigh(local.mT @ local)
    orthonormal: Tensor = local @ (axes * values.clamp(min=1e-6).rsqrt()) @ axes.mT
    return orthonormal


def _exchange(hole: Tensor, electron: Tensor, i: Tensor, a: Tensor, minus_gamma: Tensor) -> Tensor:
    """−Σ_AB q^A_ij γ_AB q^B_ab (p, p), zero where i and j, or a and b, are far apart."""
    beside_hole, beside_electron = _beside(hole), _beside(electron)
    found = minus_gamma.new_zeros((len(i), len(i)))
    # A strip of holes in line has to do with few others and with few functions of the basis.
    for holes in in_line(beside_hole).split(STRIP):
        mine = torch.isin(i, holes).nonzero()[:, 0]
        near = beside_hole[holes].any(0)[i] & beside_electron[a[mine]].any(0)[a]
        theirs = near.nonzero()[:, 0]
        rows, first, of_first = _overlapping(hole, i[mine], i[theirs], beside_hole)
        columns, last, of_last = _overlapping(electron, a[mine], a[theirs], beside_electron)
        between = first.mT @ minus_gamma[rows[:, None], columns] @ last
        between = torch.nn.functional.pad(between, (0, 1, 0, 1))
        found[mine[:, None], theirs] = between[of_first, of_last]
    return found


def _beside(local: Tensor) -> Tensor:
    """(r, r) which of the local orbitals (n, r) overlap."""
    density = local.square()
    return density.mT @ density > _NEAR


def _overlapping(
    local: Tensor, one: Tensor, other: Tensor, beside: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Products of the local orbitals ``one`` (x,) with those of ``other`` (y,) that overlap.

    The basis functions (m,) where there is something of them, the products (m, P) there, and the
    place (x, y) of each, or P.
    """
    (mine, of_mine), (theirs, of_theirs) = (x.unique(return_inverse=True) for x in (one, other))
    row, column = beside[mine[:, None], theirs].nonzero().unbind(1)
    functions = (local[:, mine].abs() > _NEAR).any(1).nonzero()[:, 0]
    part = local[functions]
    place = row.new_full((len(mine), len(theirs)), len(row))
    place[row, column] = torch.arange(len(row), device=row.device)
    products = part[:, mine[row]] * part[:, theirs[column]]
    return functions, products, place[of_mine[:, None], of_theirs]
