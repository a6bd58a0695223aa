"""Merge the outputs of a job array: shards of predictions, with structures in order again."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

from esml.export.formats import open_writer
from esml.export.hdf5_reader import StoredResults, read_results
from esml.export.writer import ExportError
from esml.results import Failure, Outcome, Result


def merge(parts: Sequence[Path], output: Path, format: str | None = None) -> tuple[int, int]:
    """Write the predictions of the HDF5 files ``parts`` to ``output``, in any format.

    Structures keep the order of their file, and files an order that agrees with all parts. If the
    parts say which shard they are, all shards must be present.

    Parameters
    ----------
    parts
        Complete files of ``esml predict``, one or more.
    output, format
        As in ``esml.export.open_writer``.

    Returns
    -------
    The number of results and the number of failures.

    Raises
    ------
    ExportError
        If a part cannot be read, parts have different models or settings, a shard is missing, or
        two parts hold the same structure.
    """
    stored = {path: read_results(path) for path in parts}
    attributes = _common(stored)
    _check_shards(stored)
    outcomes: dict[tuple[str, int], Outcome] = {}
    owner: dict[tuple[str, int], Path] = {}
    failures: dict[tuple[str, int, str], Failure] = {}
    for path, part in stored.items():
        for result in part:
            key = (result.source, result.index)
            if key in outcomes:
                raise ExportError(
                    f"structure {result.index} of '{result.source}' is in '{owner[key]}' and in "
                    f"'{path}': expected parts of one run; leave one of them out"
                )
            outcomes[key], owner[key] = result, path
        # Every shard that reads a damaged file reports it.
        failures |= {(f.source, f.index, f.reason): f for f in part.failures}
    n_states = int(attributes.pop("n_states"))
    places = _places([*stored.values()])
    entries = [*outcomes.values(), *failures.values()]
    entries.sort(key=lambda entry: (places[entry.source], entry.index))
    extras = {
        name
        for outcome in outcomes.values()
        if isinstance(outcome, Result)
        for name in outcome.singlets.extras
    }
    with open_writer(output, n_states, format, extras=extras, **attributes) as writer:
        for entry in entries:
            writer.add(entry)
    return len(outcomes), len(failures)


def _places(stored: Sequence[StoredResults]) -> dict[str, int]:
    """Ranks of the sources in an order that agrees with all parts; no part need hold all."""
    order: TopologicalSorter[str] = TopologicalSorter()
    met: dict[str, int] = {}
    for part in stored:
        for entries in (list(part), part.failures):  # a file keeps them apart
            sources = list(dict.fromkeys(entry.source for entry in entries))
            for source in sources:
                order.add(source)
                met.setdefault(source, len(met))
            for first, second in pairwise(sources):
                order.add(second, first)
    try:
        return {source: rank for rank, source in enumerate(order.static_order())}
    except CycleError:  # runs that read the files in different orders
        return met


def _common(stored: dict[Path, StoredResults]) -> dict[str, Any]:
    """Attributes of all parts, except those of single files; ExportError if they differ."""
    own = {"format", "schema_version", "shard"}
    first: dict[str, Any] = {}
    for path, part in stored.items():
        told = {key: value for key, value in part.attributes.items() if key not in own}
        first = first or told
        for key in sorted(first.keys() | told.keys()):
            if first.get(key) != told.get(key):
                raise ExportError(
                    f"'{path}' has {key} {told.get(key)} where '{next(iter(stored))}' has "
                    f"{first.get(key)}: expected parts of one run; leave one of them out"
                )
    if "n_states" not in first:
        raise ExportError(
            f"'{next(iter(stored))}' does not say how many states it holds: expected a file of "
            "esml predict; run esml predict again"
        )
    return first


def _check_shards(stored: dict[Path, StoredResults]) -> None:
    found = [
        str(part.attributes["shard"]) for part in stored.values() if "shard" in part.attributes
    ]
    if not found:
        return
    n = found[0].partition("/")[2]
    wanted = [f"{k + 1}/{n}" for k in range(int(n))]
    missing = [shard for shard in wanted if shard not in found]
    if missing or len(found) != len(wanted) or len(found) != len(stored):
        raise ExportError(
            f"the parts are the shards {', '.join(found)}: expected each of 1/{n} to {n}/{n} once"
            + (f"; {', '.join(missing)} is missing" if missing else "; leave the others out")
        )
