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
    """Open a writer of predictions.

    Parameters
    ----------
    path
        The file to write.
    n_states
        Largest number of singlets, and of triplets, of a result.
    format
        One of ``FORMATS``; chosen by the end of the file's name if None.
    flush_seconds
        How often an HDF5 file is brought up to date while it is written, seconds.
    extras
        Names of optional properties, such as two-photon strengths, that tables get columns for
        (``result.singlets.extras``); other formats need not know.
    **attributes
        The model's name, the version and the like, stored if the format has a place for them.

    Returns
    -------
    The writer; use it in a ``with`` statement.

    Raises
    ------
    ExportError
        For an unknown format, a missing package, or a file that cannot be written.
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
