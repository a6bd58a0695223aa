"""What the network says of single atoms and of pairs, before they meet in one molecule.

``Local`` is where the derivatives of many sums are cut in two. From the sums to the pieces of the
blocks, autograd goes back once for each. From there to positions, every pair stands for itself:
its pieces depend on the features of both atoms and on the vector between them. The Jacobian of
these pieces is found once, and matrix products with it replace the backward passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from esml.model.backbones.equivariant import Network
from esml.model.backbones.transformer import Transformer
from esml.model.blocks import Blocks, Pieces, ends_of
from esml.model.pairs import Pairs
from esml.physics.slopes import slopes

FEW = 128
"""Number of pairs whose Jacobians are found at a time."""


@dataclass(frozen=True)
class Local:
    """Features of the atoms and pieces of the blocks, as leaves of autograd."""

    features: Tensor  # (N, 9, C)
    pieces: Pieces  # of the features
    blocks: Blocks  # made the pieces
    pairs: Pairs  # of the graph
    kinds: Tensor  # (N,) elements of the atoms
    back: Callable[[Tensor], Tensor]  # from the features to positions, as ``Network.pullback``

    @classmethod
    @torch.no_grad()
    def of(
        cls, network: Network | Transformer, blocks: Blocks, pairs: Pairs, kinds: Tensor
    ) -> Local:
        """Return what ``network`` and ``blocks`` say of ``pairs``."""
        x, back = network.pullback(pairs, kinds)
        found = cls(x, blocks.pieces(x, pairs, kinds), blocks, pairs, kinds, back)
        for leaf in found.leaves:
            leaf.requires_grad_()
        return found

    @property
    def leaves(self) -> list[Tensor]:
        """The features, and the pieces of each operator on atoms and between them."""
        return [self.features, *self.pieces.onsite, *self.pieces.between]

    def slopes(self, weights: Sequence[Tensor]) -> Tensor:
        """Return derivatives (K, N, 3) by positions of K sums of the ``leaves``.

        The sums have one tensor of ``weights`` (K, …) for each leaf.
        """
        direct, of_pieces = weights[0], Pieces(list(weights[1:4]), list(weights[4:]))
        # In vacuum, nothing depends on the dipole operator.
        used = [k for k in range(3) if any(bool(part[k].any()) for part in of_pieces)] or [0]
        onsite, between = (
            torch.cat([part[k].flatten(2) for k in used], 2).to(direct) for part in of_pieces
        )
        if len(between) <= between.shape[2]:  # fewer sums than pieces of a pair
            through, of_vectors = self._slopes_by_autograd(onsite, between, used)
        else:
            from_pairs, of_vectors = self._slopes_between(between, used)
            through = self._slopes_onsite(onsite, used) + from_pairs
        return self.back(direct + through) + self.pairs.slopes(of_vectors, len(self.kinds))

    def _slopes_by_autograd(
        self, onsite: Tensor, between: Tensor, used: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return derivatives of sums of all pieces by the features and the vectors of pairs."""
        with torch.enable_grad():
            x, (apart, vectors) = self.features.detach().requires_grad_(), self.pairs.leaves()
            pieces = self.blocks.pieces(x, apart, self.kinds)
            joined = [torch.cat([part[k].flatten(1) for k in used], 1) for part in pieces]
        of_features, of_vectors = slopes(joined, [x, vectors], [onsite, between])
        return of_features, of_vectors

    def _slopes_onsite(self, weights: Tensor, used: Sequence[int]) -> Tensor:
        """Return derivatives (K, N, 9, C) of sums with ``weights`` (K, N, P) by features."""
        with torch.enable_grad():
            x = self.features.detach().requires_grad_()
            pieces = torch.cat([y.flatten(1) for y in self.blocks.pieces_onsite(x, used)], 1)
        (jacobian,) = slopes([pieces], [x], [_one_each(pieces)])  # (P, N, 9, C)
        return torch.einsum("knp,pnrc->knrc", weights, jacobian)

    def _slopes_between(self, weights: Tensor, used: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return derivatives of sums with ``weights`` (K, E, P) of pieces between atoms.

        They are (K, N, 9, C) by the features and (K, E, 3) by the vectors of pairs.
        """
        with torch.enable_grad():
            x = self.features.detach().requires_grad_()
            mixed = self.blocks.pairs.mix(x)
        of_mixed = [torch.zeros(()).to(x) for _ in mixed]
        of_vectors = []
        for part, w in zip(self.pairs.chunks(FEW), weights.split(FEW, 1), strict=True):
            *of_ends, along = self._jacobians(mixed, part, used)
            of_vectors.append(torch.einsum("kep,pex->kex", w, along))
            for k, (first, second) in enumerate(zip(of_ends[::2], of_ends[1::2], strict=True)):
                ends = (first, part.source), (second, part.target)
                both = [_summed(jacobian, w, atoms, len(x)) for jacobian, atoms in ends]
                of_mixed[k] = of_mixed[k] + torch.cat(both, -1)
        return slopes(mixed, [x], of_mixed)[0], torch.cat(of_vectors, 1)

    def _jacobians(
        self, mixed: Sequence[Tensor], pairs: Pairs, used: Sequence[int]
    ) -> list[Tensor]:
        """Return derivatives (P, E, …) of P pieces of each pair by its ends and its vector."""
        with torch.enable_grad():
            apart, vectors = pairs.leaves()
            ends = [x.requires_grad_() for x in ends_of([x.detach() for x in mixed], pairs)]
            found = self.blocks.pieces_between(ends, apart, self.kinds, used)
            pieces = torch.cat([y.flatten(1) for y in found], 1)
        return slopes([pieces], [*ends, vectors], [_one_each(pieces)])


def _one_each(pieces: Tensor) -> Tensor:
    """Return weights (P, B, P) of P sums, each of one column of ``pieces`` (B, P)."""
    return torch.eye(pieces.shape[1]).to(pieces)[:, None].expand(-1, len(pieces), -1)


def _summed(jacobian: Tensor, weights: Tensor, atoms: Tensor, n_atoms: int) -> Tensor:
    """Return Σ w J (K, N, …) over the pairs of each atom, J (P, E, …) and w (K, E, P)."""
    order = atoms.argsort(stable=True)
    counts = torch.bincount(atoms, minlength=n_atoms).tolist()
    by_pair = jacobian.flatten(2).transpose(0, 1)[order]  # (E, P, D)
    groups = zip(weights[:, order].split(counts, 1), by_pair.split(counts), strict=True)
    sums = torch.stack([w.flatten(1) @ j.flatten(0, 1) for w, j in groups], 1)
    return sums.view(*sums.shape[:2], *jacobian.shape[2:])
