"""Where a model may be trusted: the surroundings of atoms in its training molecules.

An atom's surroundings are seen in two ways.

*As the network sees them.* The last invariant features of an atom, less the mean of its element,
in the directions y in which they vary most (of unit variance each). The *novelty* of an atom is its
mean distance to the nearest ``NEIGHBOURS`` of the same element in the training molecules, in units
of the median that a training atom has to those of other molecules: about 1 for what is known.

*As bonds.* With Pauling's bond orders b_AB = exp[(r_A + r_B − R_AB) / ``PAULING``] (r covalent
radii), the three sums of an atom: bond orders to hydrogen, bond orders to other atoms, and the
coordination number Σ_B 1 / (1 + exp[−16 (4(r_A + r_B) / 3R_AB − 1)]). A stretched, broken or
missing bond takes an atom where no closed-shell molecule near its equilibrium has any; a network,
which is smooth, may not notice.

Out of domain is what was never seen: an element, a charge, a bond or chain of elements (``bonds``),
a molecule without a valence state (``valence``), and an atom whose bonds are farther from those of
all training atoms than nearly all bonds of unseen molecules are. Novelty and size are matters of
degree: they widen the stated error (``uncertainty``), and are remarked on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

from esml.confidence.bonds import RADII, Seen, Unseen, unseen
from esml.model.graph import Graph
from esml.model.pairs import species
from esml.model.tensors import switch
from esml.physics.basis import ELEMENTS

NEIGHBOURS = 5
"""Nearest training atoms whose mean distance is the novelty."""

PAULING = 0.308
"""Å; L. Pauling, J. Am. Chem. Soc. 69, 542 (1947): d(n) = d(1) − 0.71 Å log₁₀ n."""

WIDER, LARGER_ERRORS = "the stated errors are wider for it", "errors may be larger than stated"

AROUND = (8.0, 16.0)
"""Å; nearer atoms count as around an atom, those farther do not."""

LARGER = 1.5
"""Times the heavy atoms of the largest training molecule from which size is remarked on."""


def bonding(graph: Graph) -> Tensor:
    """(N, 3) bond orders to hydrogen, bond orders to others, twice the coordination number."""
    with torch.no_grad():
        radii = RADII.to(graph.positions)[graph.numbers]
        single = radii[graph.edge_source] + radii[graph.edge_target]
        distance = graph.vectors().norm(dim=1)
        order = torch.exp((single - distance) / PAULING)
        hydrogen = (graph.numbers == 1)[graph.edge_target]
        coordination = torch.sigmoid(16.0 * (4.0 / 3.0 * single / distance - 1.0))
        # A coordination number is as telling as two units of bond order.
        parts = torch.stack([order * hydrogen, order * ~hydrogen, 2.0 * coordination], 1)
        return parts.new_zeros((len(radii), 3)).index_add(0, graph.edge_source, parts)


def size(graph: Graph) -> Tensor:
    """(N,) heavy atoms around each atom, those between the two distances ``AROUND`` in part.

    Of a molecule within that reach all heavy atoms count, of a distant other molecule none.
    """
    with torch.no_grad():
        counts = torch.bincount(graph.molecule, minlength=graph.n_molecules).tolist()
        heavy = (graph.numbers > 1).to(graph.positions)
        found = [
            switch(torch.cdist(x, x), *AROUND) @ one
            for x, one in zip(graph.positions.split(counts), heavy.split(counts), strict=True)
        ]
        return torch.cat(found)


class _Points:
    """Points (P, D), ready for many distances to them in double precision."""

    def __init__(self, points: Tensor) -> None:
        self.count = len(points)
        self._points = points.T.contiguous()
        self._squares = points.square().sum(1)

    def distance(self, others: Tensor, count: int) -> Tensor:
        """Mean distance (N,) of ``others`` (N, D) to the nearest ``count`` points."""
        # |p|² − 2 p·x + |x|², the last only for those that are nearest.
        square = torch.addmm(self._squares, others, self._points, alpha=-2.0)
        near = (
            square.amin(1, keepdim=True)
            if count == 1
            else square.topk(min(count, self.count), dim=1, largest=False).values
        )
        return (near + others.square().sum(1, keepdim=True)).clamp(min=0.0).sqrt().mean(1)


@dataclass(frozen=True)
class Verdict:
    """Whether a molecule is like those a model was trained on, and what users should know of it."""

    in_domain: bool = True  # whether it is like them
    warnings: tuple[str, ...] = ()  # why not, and what else to know; a sentence each

    def but(self, reason: str | None) -> Verdict:
        """Out of domain for this ``reason`` too, if there is one."""
        return self if reason is None else Verdict(False, (reason, *self.warnings))


@dataclass(frozen=True)
class TrainingLikeness:
    """The atoms of a batch among those of the training molecules."""

    novelty: Tensor  # (N,)
    strangeness: Tensor  # (N,) distance of the bonds from any trained on, over the largest allowed
    size: Tensor  # (N,) ``size`` of the molecule around each atom
    unseen: Unseen  # bonds and chains that no training molecule has


class Domain(nn.Module):
    """The training atoms' surroundings, and how far from them is too far.

    ``esml.training.calibrate`` makes one; ``state`` and the constructor carry it to and from a
    model file. Raises KeyError where ``tensors`` lack one of ``NAMES``.
    """

    means: Tensor  # (elements, C)
    projection: Tensor  # (C, D)
    environments: Tensor  # (P, D) y of training atoms, by element
    environment_counts: Tensor  # (elements,)
    typical: Tensor  # (elements,) median distance behind the unit of novelty
    novelty_limit: Tensor  # ()
    bondings: Tensor  # (Q, 3) ``bonding`` of training atoms, by element
    bonding_counts: Tensor  # (elements,)
    bonding_limit: Tensor  # ()
    heavy_atoms: Tensor  # () of the largest training molecule
    # Absent from older model files; then all bonds and chains count as trained on.
    pairs: Tensor | None  # (elements, elements) whether bonded in a training molecule
    triples: Tensor | None  # (elements, elements, elements) whether the first is bonded to both
    linkages: Tensor | None  # (classes, classes, classes) the same by ``bonds.classes``
    charges: Tensor | None  # total charges of enough training molecules; None: neutral ones only

    NAMES = (  # tensors that every model file has
        "means", "projection", "environments", "environment_counts", "typical", "novelty_limit",
        "bondings", "bonding_counts", "bonding_limit", "heavy_atoms",
    )  # fmt: skip
    OPTIONAL = ("pairs", "triples", "linkages", "charges")  # those that older ones lack

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in self.NAMES:
            tensor = tensors[name]
            self.register_buffer(name, tensor.double() if tensor.is_floating_point() else tensor)
        for name in self.OPTIONAL:
            self.register_buffer(name, tensors.get(name))
        self._seen = self.environment_counts.tolist()
        self._ready: tuple[torch.device, list[_Points], list[_Points]] | None = None

    def _references(self) -> tuple[list[_Points], list[_Points]]:
        """Environments and bonds of the training atoms by element, on the device of the buffers."""
        device = self.means.device
        if self._ready is None or self._ready[0] != device:
            parts = (
                (self.environments, self.environment_counts),
                (self.bondings, self.bonding_counts),
            )
            first, second = ([_Points(p) for p in x.split(n.tolist())] for x, n in parts)
            self._ready = (device, first, second)
        return self._ready[1:]

    def state(self) -> dict[str, Tensor]:
        """Tensors by name, as a model file holds them: bulky ones in half precision."""
        bulky = ("environments", "bondings")
        return {
            name: tensor.half() if name in bulky else tensor
            for name, tensor in self.named_buffers()
        }

    def coordinates(self, features: Tensor, kinds: Tensor) -> Tensor:
        """y (N, D) of atoms of ``kinds`` (N,) with invariant ``features`` (N, C)."""
        return (features.double() - self.means[kinds]) @ self.projection

    def forward(self, graph: Graph, features: Tensor) -> TrainingLikeness:
        """Where the atoms of ``graph`` with invariant ``features`` (N, C) stand."""
        with torch.no_grad():
            kinds = species(graph.numbers)
            places = self.coordinates(features, kinds)
            bonds = bonding(graph).double()
            # Unseen elements get a large novelty; a separate warning names them.
            novelty = places.new_full(kinds.shape, 2.0 * float(self.novelty_limit))
            strangeness = torch.zeros_like(novelty)
            environments, bondings = self._references()
            for kind in set(kinds.tolist()):
                if not self._seen[kind]:
                    continue
                chosen = (kinds == kind).nonzero()[:, 0]
                distance = environments[kind].distance(places[chosen], NEIGHBOURS)
                novelty[chosen] = distance / self.typical[kind]
                strangeness[chosen] = bondings[kind].distance(bonds[chosen], 1)
            strangeness = strangeness / self.bonding_limit
            return TrainingLikeness(novelty, strangeness, size(graph).double(), self._unseen(graph))

    def _unseen(self, graph: Graph) -> Unseen:
        """Bonds and chains of ``graph`` that no training molecule has; none for old model files."""
        if self.pairs is None or self.triples is None:
            nowhere = torch.zeros_like(graph.numbers, dtype=torch.bool)
            return Unseen([[] for _ in range(graph.n_molecules)], nowhere)
        elements = {z for z, n in zip(ELEMENTS, self._seen, strict=True) if n}
        return unseen(graph, Seen(elements, self.pairs, self.triples, self.linkages))

    def verdicts(
        self,
        graph: Graph,
        surroundings: TrainingLikeness,
        novelty_widens: bool = False,
        size_widens: bool = False,
    ) -> list[Verdict]:
        """What to say of each molecule of ``graph``.

        Parameters
        ----------
        graph : Graph
            M molecules.
        surroundings : TrainingLikeness
            Theirs.
        novelty_widens, size_widens : bool
            Whether the stated errors grow with novelty and with size.

        Returns
        -------
        list of Verdict
            One for each molecule.
        """
        seen = {z for z, n in zip(ELEMENTS, self._seen, strict=True) if n}
        charges = {0} if self.charges is None else set(self.charges.tolist())
        strange = surroundings.strangeness.tolist()
        novel = (surroundings.novelty / self.novelty_limit).tolist()
        all_numbers = graph.numbers.tolist()
        largest = int(self.heavy_atoms)
        unknown = surroundings.unseen.sentences
        begin = 0
        found = []
        counts = torch.bincount(graph.molecule, minlength=graph.n_molecules).tolist()
        for count, charge, bonds in zip(counts, graph.charges.tolist(), unknown, strict=True):
            own = slice(begin, begin + count)
            begin += count
            numbers = all_numbers[own]
            reasons = unfamiliar(numbers, int(charge), seen, charges) + bonds
            reasons += _strange(
                strange[own], numbers, "the bonds", "look for a stretched, broken or missing bond"
            )
            advice = WIDER if novelty_widens else LARGER_ERRORS
            remarks = _strange(novel[own], numbers, "the surroundings", advice)
            heavy = sum(z > 1 for z in numbers)
            if heavy > LARGER * largest:
                remarks.append(
                    f"the molecule has {heavy} heavy atoms, the largest trained on {largest}: "
                    + (WIDER if size_widens else LARGER_ERRORS)
                )
            found.append(Verdict(not reasons, tuple(reasons + remarks)))
        return found


def unfamiliar(
    numbers: list[int], charge: int, seen: set[int], charges: Collection[int] = (0,)
) -> list[str]:
    """Reasons to distrust a model of the elements ``seen`` (if any) and of total ``charges``."""
    reasons = []
    if seen and (unseen := sorted(set(numbers) - seen)):
        symbols = " or ".join(chemical_symbols[z] for z in unseen)
        reasons.append(f"no training molecule contains {symbols}: the prediction is a guess")
    if charge not in charges:
        reasons.append(
            f"the total charge is {charge:+d} e, which no or too few training molecules have: the "
            "prediction is an extrapolation"
        )
    return reasons


def _strange(values: list[float], numbers: list[int], what: str, advice: str) -> list[str]:
    """A sentence if any of ``values`` exceeds 1, naming the atom where it is largest."""
    largest = max(values)
    if largest <= 1.0:
        return []
    count = sum(value > 1.0 for value in values)
    worst = values.index(largest)
    others = f" and {count - 1} more" if count > 1 else ""
    return [
        f"{what} of atom {worst} ({chemical_symbols[numbers[worst]]}){others} are unlike any in "
        f"the training molecules: {advice}"
    ]
