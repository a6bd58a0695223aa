"""Which file gets which format."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from esml.export.documents import JsonWriter, XyzWriter
from esml.export.hdf5_writer import ResultWriter
from esml.export.structure_map import ChemiscopeWriter
from esml.export.tables import CsvWriter, ParquetWriter
from esml.export.writer import ExportError, Writer

SUFFIXES = {
    ".chemiscope.json": "chemiscope",
    ".chemiscope.json.gz": "chemiscope",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "jsonl",
    ".xyz": "xyz",
    ".extxyz": "xyz",
}
"""Formats by the end of a file's name, longer ends first."""

FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))


def format_of(path: str | Path) -> str:
    """The format a file's name asks for. Raises ``ExportError`` for a name that asks for none."""
    name = Path(path).name.lower()
    for suffix, format_ in SUFFIXES.items():
        if name.endswith(suffix):
            return format_
    raise ExportError(
        f"'{path}' ends in no known format: expected one of {', '.join(SUFFIXES)}; rename it or "
        "name the format"
    )


def open_writer(
    path: str | Path,
    n_states: int,
    format: str | None = None,
    *,
    flush_seconds: float = 5.0,
    extras: Collection[str] = (),
    **attributes: str | int | float,
) -> Writer:
    """A writer of predictions with up to ``n_states`` singlets and triplets to ``path``.

    ``format`` is one of ``FORMATS``, told by the name where left out; ``attributes`` (the model's
    name, the version) are stored where the format has a place for them. Tables have columns for
    properties that are made only where asked for, such as two-photon strengths, if ``extras`` names
    them, as ``result.singlets.extras`` does; other formats need no telling. Raises ``ExportError``
    for an unknown format, a missing package, or a file that cannot be written.
    """
    chosen = format_of(path) if format is None else format
    if chosen == "csv":
        return CsvWriter(path, n_states, extras)
    if chosen == "parquet":
        return ParquetWriter(path, n_states, extras, **attributes)
    attributes = {**attributes, "n_states": n_states}
    if chosen == "hdf5":
        return ResultWriter(path, flush_seconds=flush_seconds, **attributes)
    if chosen in ("json", "jsonl"):
        return JsonWriter(path, lines=chosen == "jsonl", **attributes)
    if chosen == "xyz":
        return XyzWriter(path)
    if chosen == "chemiscope":
        return ChemiscopeWriter(path, **attributes)
    raise ExportError(f"no format '{chosen}': expected one of {', '.join(FORMATS)}; choose one")
