"""Features → 4 × 4 blocks of the Hamiltonian and of the dipole operator.

A block runs over the slots s, x, y, z of its two atoms. Under rotation, it splits into a scalar
(ss), a vector (sp) and a 3 × 3 tensor (pp); a block of the position operator has one more vector
index. Each piece is built from the scalars a, vectors v and traceless symmetric tensors T of its
atom or pair,

    Hamiltonian  ss a;  sp v_k;  pp a δ_kl + T_kl + Σ u_k w_l
    dipole x     ss v_x;  sp a δ_xk + T_xk + Σ u_x w_k;
                 pp δ_kl v_x + δ_xk v_l + δ_xl v_k + Σ (T_kl v_x + T_xk v_l + T_xl v_k)

with its own mixture of channels for every symbol; Σ u ⊗ w includes the antisymmetric part, which
blocks of two different atoms can have. The block of a pair is the transpose of that of the reversed
pair by construction. Energies in eV, dipoles in e·bohr.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from ase.data import covalent_radii
from torch import Tensor, nn
from torch.nn.functional import silu

from esml.model.channels import Mix
from esml.model.pairs import Pairs, Radial
from esml.model.tensors import QUADRUPOLE, decompose, dot, matrices, tensor_vector, vector_vector
from esml.physics.basis import ELEMENTS


@dataclass(frozen=True)
class Parts:
    """Scalars, vectors and tensors of B atoms or pairs; C channels, H hidden scalars."""

    scalars: Tensor  # (B, H)
    vectors: Tensor  # (B, 3, C)
    tensors: Tensor  # (B, 5, C)


@dataclass(frozen=True)
class Block:
    """Pieces of B blocks; a dipole block has one trailing dimension of 3 everywhere."""

    ss: Tensor  # (B,)
    sp: Tensor  # (B, 3) s of the first atom, p of the second
    pp: Tensor  # (B, 3, 3)

    @classmethod
    def of(cls, pieces: Tensor) -> Block:
        """Return blocks from their ``pieces`` (B, 13)."""
        ss, sp, pp = pieces.split((1, 3, 9), 1)
        return cls(ss[:, 0], sp, pp.unflatten(1, (3, 3)))

    def pieces(self) -> Tensor:
        """Return all pieces as one tensor (B, 13)."""
        return torch.cat([self.ss[:, None], self.sp, self.pp.flatten(1, 2)], 1)


class Pieces(NamedTuple):
    """Pieces of all blocks: of the Hamiltonian, the dipole operator and the relaxation."""

    onsite: list[Tensor]  # (N, 13), (N, 13, 3), (N, 13)
    between: list[Tensor]  # (E, 13), (E, 13, 3), (E, 13)


@dataclass(frozen=True)
class OperatorBlocks:
    """All blocks of one operator: (…, 4, 4) for the Hamiltonian, (…, 4, 4, 3) for the dipole."""

    onsite: Tensor  # (N, 4, 4, …)
    offsite: Tensor  # (E, 4, 4, …) rows on the source, columns on the target


def hermitian(block: Block, other: Block) -> Tensor:
    """Return Hermitian blocks (B, 4, 4, …), averaged with ``other``, those of the reversed pairs.

    Blocks on the diagonal of the operator are each their own reverse.
    """
    top = torch.cat([0.5 * (block.ss + other.ss)[:, None], block.sp], 1)[:, None]
    middle = 0.5 * (block.pp + other.pp.transpose(1, 2))
    return torch.cat([top, torch.cat([other.sp[:, :, None], middle], 2)], 1)


def _silent(inputs: int, outputs: int, bias: bool = False) -> nn.Linear:
    """Return a linear map that starts at zero, so that an untrained model equals its baseline."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.zeros_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def _in_double(linear: nn.Linear, x: Tensor) -> Tensor:
    """Apply ``linear`` to ``x`` in double precision."""
    return nn.functional.linear(x.double(), linear.weight.double(), linear.bias.double())


class HamiltonianHead(nn.Module):
    """Head that predicts the pieces of Hamiltonian blocks, eV."""

    def __init__(self, hidden: int, channels: int, products: int) -> None:
        super().__init__()
        self.scalar = _silent(hidden, 2, bias=True)
        self.vector = _silent(channels, 1)
        self.tensor = _silent(channels, 1)
        # Only one of the two factors starts at zero: with both at zero, neither has a gradient.
        self.left = nn.Linear(channels, products, bias=False)
        self.right = _silent(channels, products)

    def forward(self, parts: Parts) -> Block:
        # Levels are large: rounding them to single precision would change excitation energies.
        ss, trace = _in_double(self.scalar, parts.scalars).unbind(1)
        eye = torch.eye(3, dtype=ss.dtype, device=ss.device)
        return Block(
            ss=ss,
            sp=self.vector(parts.vectors)[:, :, 0],
            pp=trace[:, None, None] * eye
            + matrices(self.tensor(parts.tensors)[:, :, 0])
            + self.left(parts.vectors) @ self.right(parts.vectors).transpose(1, 2),
        )


class DipoleHead(nn.Module):
    """Head that predicts the pieces of dipole blocks, e·bohr; the last index is x, y or z."""

    def __init__(self, hidden: int, channels: int, products: int) -> None:
        super().__init__()
        self.scalar = _silent(hidden, 1, bias=True)
        self.vector = _silent(channels, 4)
        self.tensor = _silent(channels, 1 + 3 * products)
        self.left = nn.Linear(channels, products, bias=False)
        self.right = _silent(channels, products)
        self.factor = nn.Linear(channels, 3 * products, bias=False)

    def forward(self, parts: Parts) -> Block:
        vectors, tensors = parts.vectors, parts.tensors
        mixed_vectors, mixed_tensors = self.vector(vectors), self.tensor(tensors)
        dipole = self.right(vectors) @ self.left(vectors).transpose(1, 2)
        # T v for three sets of T and v: (B, 5, products) × (B, products, 3).
        products = [
            (t @ v.transpose(1, 2)).flatten(1)
            for t, v in zip(
                mixed_tensors[:, :, 1:].chunk(3, 2), self.factor(vectors).chunk(3, 2), strict=True
            )
        ]
        sp, pp = _dipole_pieces(vectors.dtype, vectors.device)
        of_sp = [self.scalar(parts.scalars), mixed_tensors[:, :, 0]]
        of_pp = [*mixed_vectors[:, :, 1:].unbind(2), *products]
        return Block(
            ss=mixed_vectors[:, :, 0],
            sp=(torch.cat(of_sp, 1) @ sp).unflatten(1, (3, 3)) + dipole,
            pp=(torch.cat(of_pp, 1) @ pp).unflatten(1, (3, 3, 3)),
        )


@lru_cache
def _dipole_pieces(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return linear maps from scalars, vectors and tensors to dipole blocks, both flattened.

    The map (6, 9) leads from a and t_m to δ_xk a + T_xk of sp. The map (54, 27) leads from v, w, u
    and three products t_m v_x to δ_kl v_x + δ_lx w_k + δ_kx u_l and to T_kl v_x, T_xk v_l and
    T_xl v_k of pp.
    """
    eye, basis = torch.eye(3, dtype=torch.float64), QUADRUPOLE
    sp = torch.cat([eye[None], basis])
    pp = [torch.einsum(f"kl,xj->{order}", eye, eye) for order in ("jklx", "jxkl", "jkxl")]
    pp += [
        torch.einsum("mkl,xj->" + order, basis, eye).flatten(0, 1)
        for order in ("mjklx", "mjkxl", "mjxkl")
    ]
    return sp.flatten(1).to(device, dtype), torch.cat(pp).flatten(1).to(device, dtype)


class AtomParts(nn.Module):
    """Parts of an atom from its features: gated mixtures and their products."""

    def __init__(self, features: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.mix = Mix(features, 2 * channels)
        self.hidden = nn.Linear(features + 4 * channels, hidden)
        self.gates = nn.Linear(hidden, 4 * channels)
        nn.init.ones_(self.gates.bias)

    def forward(self, x: Tensor) -> Parts:
        s, v, t = decompose(self.mix(x))
        v0, v1 = v.chunk(2, 2)
        t0, t1 = t.chunk(2, 2)
        invariants = torch.cat([x[:, 0], s[:, 0], dot(v0, v1), dot(t0, t1)], 1)
        hidden = silu(self.hidden(invariants))
        g1, g2, g3, g4 = self.gates(hidden)[:, None].chunk(4, 2)
        return Parts(
            scalars=hidden,
            vectors=g1 * v0 + g2 * tensor_vector(t0, v1),
            tensors=g3 * t0 + g4 * vector_vector(v0, v1),
        )


class PairParts(nn.Module):
    """Parts of a pair from the features of both atoms, the direction and the distance."""

    def __init__(
        self, features: int, hidden: int, channels: int, radial: int, cutoff: float
    ) -> None:
        super().__init__()
        self.radial = Radial(radial, hidden, cutoff)
        # Features are mixed per atom, before gathering pairs: atoms are far fewer than pairs.
        self.scalar = nn.Linear(features, 2 * hidden, bias=False)
        self.vector = nn.Linear(features, 2 * channels, bias=False)
        self.tensor = nn.Linear(features, 2 * channels, bias=False)
        self.invariants = nn.Linear(5 * channels, hidden, bias=False)
        self.hidden = nn.Linear(hidden, hidden)
        self.gates = nn.Linear(hidden, 10 * channels)
        nn.init.ones_(self.gates.bias)

    def mix(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return an atom's contributions as source and as target, concatenated."""
        s, v, t = decompose(x)
        return self.scalar(s[:, 0]), self.vector(v), self.tensor(t)

    def forward(self, ends: Sequence[Tensor], pairs: Pairs, kinds: Tensor) -> Parts:
        s_i, s_j, v_i, v_j, t_i, t_j = ends
        unit = pairs.unit[:, :, None]
        w_i, w_j = pairs.operator @ t_i, pairs.operator @ t_j
        invariants = torch.cat(
            [dot(v_i, unit), dot(v_j, unit), dot(w_i, unit), dot(w_j, unit), dot(v_i, v_j)], 1
        )
        hidden = silu(self.radial(pairs, kinds) + s_i + s_j + self.invariants(invariants))
        hidden = silu(self.hidden(hidden))
        g = self.gates(hidden)[:, None].chunk(10, 2)
        vectors = torch.addcmul(g[0] * unit, g[1], v_i)
        vectors = torch.addcmul(torch.addcmul(vectors, g[2], v_j), g[3], w_i)
        vectors = torch.addcmul(vectors, g[4], w_j)
        # Along r̂: r̂ itself gives r̂r̂, v gives {v ⊗ r̂}.
        along = torch.addcmul(torch.addcmul(g[5] * unit, g[6], v_i), g[7], v_j)
        tensors = torch.addcmul(pairs.operator.transpose(1, 2) @ along, g[8], t_i)
        return Parts(hidden, vectors, torch.addcmul(tensors, g[9], t_j))


def ends_of(mixed: Sequence[Tensor], pairs: Pairs) -> list[Tensor]:
    """Return s_i, s_j, v_i, v_j, t_i, t_j of the atoms i and j of ``pairs`` from ``mix``."""
    halves = [part.chunk(2, -1) for part in mixed]
    ends = pairs.source, pairs.target
    return [half[end] for both in halves for half, end in zip(both, ends, strict=True)]


_BOND = (-5.0, 5.5, 6.0, -3.0)  # eV, about as large as Harrison's universal couplings in a bond
_DECAY = 0.75  # Å


class SlaterKoster(nn.Module):
    """Two-centre couplings that depend on the elements and the distance of a pair only.

    The rest of a block is a deviation from these. V_k(R) = A_k exp(−(R − R₀) / λ_k) for k = ssσ,
    spσ, ppσ, ppπ, with A and λ learned for each ordered pair of elements and R₀ the sum of their
    covalent radii. In sp, s is on the source.
    """

    radii: Tensor

    def __init__(self) -> None:
        super().__init__()
        count = len(ELEMENTS)
        self.amplitude = nn.Parameter(torch.tensor(_BOND).expand(count, count, 4).clone())
        self.log_decay = nn.Parameter(torch.full((count, count, 4), _DECAY).log())
        radii = torch.tensor([float(covalent_radii[z]) for z in ELEMENTS])
        self.register_buffer("radii", radii, persistent=False)

    def forward(self, pairs: Pairs, kinds: Tensor) -> Block:
        a, b = kinds[pairs.source], kinds[pairs.target]
        stretch = (pairs.distance - self.radii[a] - self.radii[b])[:, None]
        couplings = self.amplitude[a, b] * torch.exp(-stretch / self.log_decay[a, b].exp())
        ss, sp, sigma, pi = couplings.unbind(1)
        eye = torch.eye(3, dtype=ss.dtype, device=ss.device)
        along = pairs.unit[:, :, None] * pairs.unit[:, None, :]
        pp = pi[:, None, None] * eye + (sigma - pi)[:, None, None] * along
        return Block(ss, sp[:, None] * pairs.unit, pp)


class Blocks(nn.Module):
    """All blocks of the Hamiltonian, and of the dipole operator relative to each atom."""

    def __init__(
        self,
        features: int,
        hidden: int,
        channels: int,
        products: int,
        radial: int,
        cutoff: float,
    ) -> None:
        super().__init__()
        self.atoms = AtomParts(features, hidden, channels)
        self.pairs = PairParts(features, hidden, channels, radial, cutoff)
        self.slater_koster = SlaterKoster()
        self.onsite = HamiltonianHead(hidden, channels, products)
        self.offsite = HamiltonianHead(hidden, channels, products)
        self.onsite_dipole = DipoleHead(hidden, channels, products)
        self.offsite_dipole = DipoleHead(hidden, channels, products)
        self.onsite_relaxation = HamiltonianHead(hidden, channels, products)
        self.offsite_relaxation = HamiltonianHead(hidden, channels, products)

    def forward(
        self,
        pieces: Pieces,
        reverse: Tensor,
        envelope: Tensor,
        baseline: Tensor,
    ) -> tuple[OperatorBlocks, OperatorBlocks, OperatorBlocks]:
        """Return Hamiltonian (eV), dipole (e·bohr) and relaxation (eV) blocks of ``pieces``.

        ``reverse`` (E,) are the reversed pairs, ``envelope`` (E,) multiplies the blocks of pairs,
        and the first columns of ``baseline`` (N, …) are ε_s, ε_p (eV) and ⟨s|x|p_x⟩ (bohr) of each
        atom. The relaxation blocks shift the virtual orbitals (see ``esml.physics.interaction``);
        they do not include the baseline.
        """
        hamiltonian, dipole, relaxation = (
            OperatorBlocks(
                hermitian(Block.of(onsite), Block.of(onsite)),
                hermitian(Block.of(far), Block.of(far.index_select(0, reverse)))
                * envelope.view(-1, *[1] * far.dim()),
            )
            for onsite, far in zip(pieces.onsite, pieces.between, strict=True)
        )
        eye = torch.eye(4, dtype=baseline.dtype, device=baseline.device)
        levels = torch.cat([baseline[:, :1], baseline[:, 1:2].expand(-1, 3)], 1).double()
        free = baseline[:, 2, None, None, None] * _sp_dipole(baseline)
        return (
            replace(hamiltonian, onsite=hamiltonian.onsite + levels[:, :, None] * eye),
            replace(dipole, onsite=dipole.onsite + free),
            relaxation,
        )

    def pieces(self, x: Tensor, pairs: Pairs, kinds: Tensor) -> Pieces:
        """Return the pieces of all blocks from the features ``x`` (N, 9, F) of the atoms."""
        mixed = self.pairs.mix(x)
        found = [self.pieces_between(ends_of(mixed, part), part, kinds) for part in pairs.chunks()]
        between = [torch.cat(each) for each in zip(*found, strict=True)]
        return Pieces(self.pieces_onsite(x), between)

    def pieces_onsite(self, x: Tensor, kept: Sequence[int] = (0, 1, 2)) -> list[Tensor]:
        """Return pieces (N, 13, …) on atoms with features ``x``, of the operators ``kept``."""
        heads = self.onsite, self.onsite_dipole, self.onsite_relaxation
        parts = self.atoms(x)
        return [heads[k](parts).pieces() for k in kept]

    def pieces_between(
        self, ends: Sequence[Tensor], pairs: Pairs, kinds: Tensor, kept: Sequence[int] = (0, 1, 2)
    ) -> list[Tensor]:
        """Return pieces (E, 13, …) of ``pairs`` with ``ends_of``, of the operators ``kept``."""
        heads = self.offsite, self.offsite_dipole, self.offsite_relaxation
        parts = self.pairs(ends, pairs, kinds)
        found = [heads[k](parts).pieces() for k in kept]
        if 0 in kept:
            found[0] = found[0] + self.slater_koster(pairs, kinds).pieces()
        return found


def _sp_dipole(like: Tensor) -> Tensor:
    """Return s–p elements of the position operator in units of ⟨s|x|p_x⟩, (4, 4, 3)."""
    operator = like.new_zeros((4, 4, 3))
    for axis in range(3):
        operator[0, 1 + axis, axis] = operator[1 + axis, 0, axis] = 1.0
    return operator
