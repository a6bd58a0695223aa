"""Formats of prediction files, chosen by the name of the file."""

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
"""Formats by suffix, longer suffixes first."""

FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))


def format_of(path: str | Path) -> str:
    """Return the format for a file name. Raises ``ExportError`` for an unknown suffix."""
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
        One of ``FORMATS``; chosen by the suffix of the file if None.
    flush_seconds
        Time between updates of an HDF5 file while it is written, seconds.
    extras
        Names of optional properties, such as two-photon strengths, that get columns in tables
        (``result.singlets.extras``); other formats do not need them.
    **attributes
        Name of the model, version and the like, stored if the format has a place for them.

    Returns
    -------
    The writer; use it in a ``with`` statement.

    Raises
    ------
    ExportError
        If the format is unknown, a package is missing, or the file cannot be written.
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
