"""The domain of a model, described by the surroundings of atoms in its training molecules.

The surroundings of an atom are described in two ways.

*Features of the network.* The last invariant features of an atom, minus the mean of its element,
are projected on the directions y in which they vary most (scaled to unit variance). The *novelty*
of an atom is its mean distance to the nearest ``NEIGHBOURS`` atoms of the same element in the
training molecules. Its unit is the median of this distance for training atoms, measured to other
molecules, so that familiar atoms have about 1.

*Bonds.* With Pauling's bond orders b_AB = exp[(r_A + r_B − R_AB) / ``PAULING``] (r covalent radii),
each atom has three sums: bond orders to hydrogen, bond orders to other atoms, and the coordination
number Σ_B 1 / (1 + exp[−16 (4(r_A + r_B) / 3R_AB − 1)]). A stretched, broken or missing bond gives
values that no atom of a closed-shell molecule near equilibrium has; a network, which is smooth, may
not notice.

A molecule is out of domain if it has something that no training molecule has: an element, a charge,
a bond or chain of elements (``bonds``), or no valence state (``valence``). It is also out of domain
if the bonds of an atom are farther from those of all training atoms than nearly all bonds of unseen
molecules are. Novelty and size are matters of degree: they increase the stated error
(``uncertainty``) and lead to a warning.
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
"""Number of nearest training atoms whose mean distance is the novelty."""

PAULING = 0.308
"""Å; L. Pauling, J. Am. Chem. Soc. 69, 542 (1947): d(n) = d(1) − 0.71 Å log₁₀ n."""

WIDER, LARGER_ERRORS = "the stated errors are wider for it", "errors may be larger than stated"

AROUND = (8.0, 16.0)
"""Å; atoms closer than the first count fully as around an atom, those beyond the second do not."""

LARGER = 1.5
"""A warning mentions the size of molecules with more than this many times the heavy atoms of the
largest training molecule."""


def bonding(graph: Graph) -> Tensor:
    """Return (N, 3): bond orders to hydrogen, to other atoms, and twice the coordination number."""
    with torch.no_grad():
        radii = RADII.to(graph.positions)[graph.numbers]
        single = radii[graph.edge_source] + radii[graph.edge_target]
        distance = graph.vectors().norm(dim=1)
        order = torch.exp((single - distance) / PAULING)
        hydrogen = (graph.numbers == 1)[graph.edge_target]
        coordination = torch.sigmoid(16.0 * (4.0 / 3.0 * single / distance - 1.0))
        # One unit of coordination number weighs as much as two units of bond order.
        parts = torch.stack([order * hydrogen, order * ~hydrogen, 2.0 * coordination], 1)
        return parts.new_zeros((len(radii), 3)).index_add(0, graph.edge_source, parts)


def size(graph: Graph) -> Tensor:
    """Return the number (N,) of heavy atoms around each atom.

    Atoms between the two distances ``AROUND`` count in part. If a molecule fits within the first
    distance, all its heavy atoms count; those of a distant other molecule never do.
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
    """Points (P, D), prepared for computing many distances to them in double precision."""

    def __init__(self, points: Tensor) -> None:
        self.count = len(points)
        self._points = points.T.contiguous()
        self._squares = points.square().sum(1)

    def distance(self, others: Tensor, count: int) -> Tensor:
        """Return the mean distance (N,) of ``others`` (N, D) to the nearest ``count`` points."""
        # |p|² − 2 p·x + |x|²; the last term is added only for the nearest points.
        square = torch.addmm(self._squares, others, self._points, alpha=-2.0)
        near = (
            square.amin(1, keepdim=True)
            if count == 1
            else square.topk(min(count, self.count), dim=1, largest=False).values
        )
        return (near + others.square().sum(1, keepdim=True)).clamp(min=0.0).sqrt().mean(1)


@dataclass(frozen=True)
class Verdict:
    """Whether a molecule is in the domain of a model, and warnings for users."""

    in_domain: bool = True  # whether it is like the training molecules
    warnings: tuple[str, ...] = ()  # reasons if it is not, and other warnings; a sentence each

    def but(self, reason: str | None) -> Verdict:
        """Return the verdict out of domain, with ``reason`` added; unchanged if it is None."""
        return self if reason is None else Verdict(False, (reason, *self.warnings))


@dataclass(frozen=True)
class TrainingLikeness:
    """How much the atoms of a batch are like those of the training molecules."""

    novelty: Tensor  # (N,)
    strangeness: Tensor  # (N,) distance of an atom's bonds from training atoms' / largest allowed
    size: Tensor  # (N,) ``size`` of the molecule around each atom
    unseen: Unseen  # bonds and chains that no training molecule has


class Domain(nn.Module):
    """Surroundings of the training atoms, and limits on the distance from these.

    ``esml.training.calibrate`` creates it. ``state`` exports it to a model file, and the
    constructor restores it. Raises KeyError if ``tensors`` lack one of ``NAMES``.
    """

    means: Tensor  # (elements, C)
    projection: Tensor  # (C, D)
    environments: Tensor  # (P, D) y of training atoms, by element
    environment_counts: Tensor  # (elements,)
    typical: Tensor  # (elements,) median distance, the unit of novelty
    novelty_limit: Tensor  # ()
    bondings: Tensor  # (Q, 3) ``bonding`` of training atoms, by element
    bonding_counts: Tensor  # (elements,)
    bonding_limit: Tensor  # ()
    heavy_atoms: Tensor  # () number in the largest training molecule
    # Older model files lack the following; all bonds and chains then count as known.
    pairs: Tensor | None  # (elements, elements) whether bonded in a training molecule
    triples: Tensor | None  # (elements, elements, elements) whether the first is bonded to both
    linkages: Tensor | None  # (classes, classes, classes) triples by ``bonds.classes``
    charges: Tensor | None  # total charges that enough training molecules have; None: neutral only

    NAMES = (  # tensors that every model file has
        "means", "projection", "environments", "environment_counts", "typical", "novelty_limit",
        "bondings", "bonding_counts", "bonding_limit", "heavy_atoms",
    )  # fmt: skip
    OPTIONAL = ("pairs", "triples", "linkages", "charges")  # tensors that older files lack

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
        """Return environments and bonds of training atoms by element, on the buffers' device."""
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
        """Return the tensors for a model file, by name; large ones are in half precision."""
        bulky = ("environments", "bondings")
        return {
            name: tensor.half() if name in bulky else tensor
            for name, tensor in self.named_buffers()
        }

    def coordinates(self, features: Tensor, kinds: Tensor) -> Tensor:
        """Return y (N, D) of atoms of ``kinds`` (N,) with invariant ``features`` (N, C).

        Parameters
        ----------
        features
            (N, C) invariant features of the atoms.
        kinds
            (N,) place of each atom's element in the tables.
        """
        return (features.double() - self.means[kinds]) @ self.projection

    def forward(self, graph: Graph, features: Tensor) -> TrainingLikeness:
        """Compare the atoms of ``graph``, with invariant ``features`` (N, C), to training atoms.

        Parameters
        ----------
        graph
            M molecules with N atoms.
        features
            (N, C) invariant features of the atoms.
        """
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
        """Find bonds and chains that no training molecule has; none for old model files."""
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
        """Return a verdict on each molecule of ``graph``.

        Parameters
        ----------
        graph : Graph
            M molecules.
        surroundings : TrainingLikeness
            Result of ``forward`` for these molecules.
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
    """Return reasons to distrust a model that knows elements ``seen`` and total ``charges``.

    If ``seen`` is empty, elements are not checked.
    """
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
    """Return a sentence if any of ``values`` exceeds 1; it names the atom with the largest."""
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
