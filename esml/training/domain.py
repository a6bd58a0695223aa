"""Build the domain of a model from its training molecules (``confidence.Domain``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from esml.confidence.bonds import MOST, Chains, classes
from esml.confidence.domain import NEIGHBOURS, Domain, bonding
from esml.io.records import Record
from esml.model.pairs import species
from esml.physics.basis import ELEMENTS
from esml.predict.surrogate import Surrogate
from esml.training.targets import structure

ENVIRONMENTS = 2048
"""Largest number of training atoms kept per element."""

DIMENSIONS = 24
"""Number of directions in feature space in which atoms are compared."""

FLOOR = 1e-3
"""Share of the largest variance below which a direction counts as noise."""

CELL = 0.1
"""Cell size: of the training atoms whose bonds (``domain.bonding``) share a cell, one is kept."""

UNUSUAL = 0.01
"""Share of unseen molecules that each of the two measures may put out of domain."""

ENOUGH = 10
"""Number of training molecules of a total charge from which that charge is in the domain."""

BATCH = 16
"""Number of structures computed at a time."""


def batches(records: Sequence[Record]) -> Iterator[list[int]]:
    """Yield indices into ``records``, ``BATCH`` records of similar size at a time."""
    order = sorted(range(len(records)), key=lambda i: len(records[i].energies))
    for begin in range(0, len(order), BATCH):
        yield order[begin : begin + BATCH]


class _Atoms:
    """Features, kinds, bonds and molecules of all atoms of ``records``."""

    def __init__(self, model: Surrogate, records: Sequence[Record], molecules: dict[str, int]):
        features, kinds, bonds, owners, places = [], [], [], [], []
        for batch in batches(records):
            graph = model.graph([structure(records[i]) for i in batch], ELEMENTS)
            with torch.no_grad():
                features.append(model.hamiltonian(graph).features.double())
            kinds.append(species(graph.numbers))
            bonds.append(bonding(graph).double())
            places.append(torch.tensor(batch)[graph.molecule])
            own = [molecules[molecule_of(records[i])] for i in batch]
            owners.append(torch.tensor(own)[graph.molecule])
        self.features = torch.cat(features)
        self.kinds = torch.cat(kinds)
        self.bonds = torch.cat(bonds)
        self.owner = torch.cat(owners)
        self.record = torch.cat(places)

    def largest(self, values: Tensor) -> Tensor:
        """Return the largest of ``values`` (N,) in each record."""
        count = int(self.record.max()) + 1
        return values.new_zeros(count).scatter_reduce(0, self.record, values, "amax")


def molecule_of(record: Record) -> str:
    """Return the InChIKey or name that all structures of the molecule share."""
    return record.inchikey or record.name


def build_domain(
    model: Surrogate, training: Sequence[Record], validation: Sequence[Record]
) -> Domain:
    """Build the domain of ``model`` from the atoms of ``training``.

    An atom of a training molecule is compared with atoms of other training molecules, an atom of a
    validation molecule with all training atoms. The limits are set such that a share ``UNUSUAL`` of
    all these molecules is outside by each measure.
    """
    names = sorted({molecule_of(r) for r in (*training, *validation)})
    index = {name: i for i, name in enumerate(names)}
    seen = _Atoms(model, training, index)
    unseen = _Atoms(model, validation, index) if validation else None
    means = _means(seen)
    projection = _projection(seen.features - means[seen.kinds])
    y = (seen.features - means[seen.kinds]) @ projection
    known, novelty, strangeness = _among_themselves(seen, y)
    heavy = max(int((r.numbers > 1).sum()) for r in training)
    domain = Domain(
        {
            "means": means,
            "projection": projection,
            **known,
            "novelty_limit": torch.tensor(1.0),
            "bonding_limit": torch.tensor(1.0),
            "heavy_atoms": torch.tensor(heavy),
            "charges": torch.tensor(common_charges(training)),
            **seen_bonds(model, training),
        }
    )
    largest = [(seen.largest(novelty), seen.largest(strangeness))]
    if unseen is not None:
        largest.append(_largest(domain, model, validation))
    for limit, values in zip(
        (domain.novelty_limit, domain.bonding_limit), zip(*largest, strict=True), strict=True
    ):
        limit.copy_(torch.cat(values).quantile(1.0 - UNUSUAL).clamp(min=1e-3))
    return domain


def _means(seen: _Atoms) -> Tensor:
    """Return mean features of the atoms of each element; of all atoms for absent elements."""
    return torch.stack(
        [
            seen.features[seen.kinds == k].mean(0)
            if bool((seen.kinds == k).any())
            else seen.features.mean(0)
            for k in range(len(ELEMENTS))
        ]
    )


def _among_themselves(seen: _Atoms, y: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the domain's tensors of training atoms, and each atom's novelty and strangeness.

    ``y`` (N, d) are the atoms' projected features. Each atom is compared with the atoms of other
    molecules.
    """
    generator = torch.Generator().manual_seed(0)
    environments, bondings, typical = [], [], y.new_ones(len(ELEMENTS))
    novelty, strangeness = y.new_zeros(len(y)), y.new_zeros(len(y))
    for k in range(len(ELEMENTS)):
        chosen = (seen.kinds == k).nonzero()[:, 0]
        kept = chosen[torch.randperm(len(chosen), generator=generator)[:ENVIRONMENTS]]
        environments.append(y[kept].half().double())
        cells = _cells(seen.bonds[chosen], seen.owner[chosen])
        bondings.append(cells[0].half().double())
        if not len(chosen):
            continue
        distance = _nearest_of_others(
            y[chosen], seen.owner[chosen], environments[k], seen.owner[kept], NEIGHBOURS
        )
        known = distance.isfinite()
        if bool(known.any()):
            typical[k] = distance[known].median().clamp(min=1e-6)
        novelty[chosen] = torch.where(known, distance / typical[k], 0.0)
        distance = _nearest_of_others(seen.bonds[chosen], seen.owner[chosen], *cells, 1)
        strangeness[chosen] = torch.where(distance.isfinite(), distance, 0.0)
    held = {
        "environments": torch.cat(environments),
        "environment_counts": torch.tensor([len(e) for e in environments]),
        "typical": typical,
        "bondings": torch.cat(bondings),
        "bonding_counts": torch.tensor([len(b) for b in bondings]),
    }
    return held, novelty, strangeness


def common_charges(training: Sequence[Record]) -> list[int]:
    """Return the total charges of at least ``ENOUGH`` molecules of ``training``, and always 0."""
    molecules = {(molecule_of(r), int(r.charge)) for r in training}
    counts = Counter(charge for _, charge in molecules)
    return sorted({0} | {charge for charge, n in counts.items() if n >= ENOUGH})


def seen_bonds(model: Surrogate, training: Sequence[Record]) -> dict[str, Tensor]:
    """Find which elements are bonded in ``training``, and which occur in chains A–B–C.

    Parameters
    ----------
    model : Surrogate
        The model that makes the graphs; its weights do not matter.
    training : Sequence of Record
        The records it was trained on.

    Returns
    -------
    dict of str to Tensor
        ``pairs``, ``triples`` and ``linkages`` of ``Domain``.
    """
    count = len(ELEMENTS)
    pairs = torch.zeros(count, count, dtype=torch.bool)
    triples = torch.zeros(count, count, count, dtype=torch.bool)
    n_classes = count * (MOST + 1)
    linkages = torch.zeros(n_classes, n_classes, n_classes, dtype=torch.bool)
    for batch in batches(training):
        graph = model.graph([structure(training[i]) for i in batch], ELEMENTS)
        chains, kinds = Chains.of(graph), species(graph.numbers)
        chains.mark(pairs, kinds)
        chains.mark_chains(triples, kinds)
        chains.mark_chains(linkages, classes(graph, chains))
    return {"pairs": pairs, "triples": triples, "linkages": linkages}


def _largest(domain: Domain, model: Surrogate, records: Sequence[Record]) -> tuple[Tensor, Tensor]:
    """Return the largest novelty and strangeness of an atom in each of ``records``."""
    novelty, strangeness = torch.zeros(2, len(records), dtype=torch.float64)
    for batch in batches(records):
        graph = model.graph([structure(records[i]) for i in batch], ELEMENTS)
        with torch.no_grad():
            found = domain(graph, model.hamiltonian(graph).features)
        place = torch.tensor(batch)[graph.molecule]
        known = domain.environment_counts[species(graph.numbers)] > 0
        novelty.scatter_reduce_(0, place, found.novelty * known, "amax")
        strangeness.scatter_reduce_(0, place, found.strangeness, "amax")
    return novelty, strangeness


def _projection(deviations: Tensor) -> Tensor:
    """Return the projection (C, ``DIMENSIONS``) on the directions of largest variance.

    Their variance becomes 1. Columns beyond C are zero.
    """
    covariance = deviations.T @ deviations / len(deviations)
    variance, directions = torch.linalg.eigh(covariance)
    variance, directions = variance.flip(0)[:DIMENSIONS], directions.flip(1)[:, :DIMENSIONS]
    # The sign of an eigenvector is arbitrary: make its largest component positive.
    top = directions.abs().argmax(0)
    directions = directions * directions[top, torch.arange(len(top))].sign()
    floor = FLOOR * variance[0].clamp(min=1e-12)
    projection: Tensor = directions * (variance.clamp(min=0.0) + floor).rsqrt()
    return nn.functional.pad(projection, (0, DIMENSIONS - projection.shape[1]))


def _cells(bonds: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    """Return one of ``bonds`` (N, 3) per cell, and the cell's molecule, or −1 if it has several."""
    _, inverse = torch.unique((bonds / CELL).round(), dim=0, return_inverse=True)
    count = int(inverse.max()) + 1 if len(inverse) else 0
    first = torch.full((count,), len(bonds)).scatter_reduce(
        0, inverse, torch.arange(len(bonds)), "amin"
    )
    low = torch.full((count,), torch.iinfo(torch.int64).max).scatter_reduce(
        0, inverse, owner, "amin"
    )
    high = torch.full((count,), -1).scatter_reduce(0, inverse, owner, "amax")
    return bonds[first], torch.where(low == high, high, -1)


def _nearest_of_others(
    points: Tensor, owner: Tensor, references: Tensor, theirs: Tensor, count: int
) -> Tensor:
    """Return mean distances to the nearest references of other molecules, infinite without any."""
    found = []
    for part, own in zip(points.split(512), owner.split(512), strict=True):
        distance = torch.cdist(part, references)
        distance = distance.masked_fill(own[:, None] == theirs, torch.inf)
        near = distance.topk(min(count, len(references)), dim=1, largest=False).values
        there = near.isfinite()
        mean = torch.where(there, near, 0.0).sum(1) / there.sum(1)
        found.append(torch.nan_to_num(mean, nan=torch.inf))
    return torch.cat(found) if found else points.new_zeros(0)
