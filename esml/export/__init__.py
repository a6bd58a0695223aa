"""Predictions of many molecules in files, and orbitals of one.

``open_writer`` streams predictions in the format a file's name asks for: HDF5 (``export.hdf5``, the
one that holds everything, read back by ``read_results``), CSV and Parquet (``export.tables``), JSON
and extended xyz (``export.documents``), chemiscope (``export.structure_map``).
``write_molden`` and ``write_cube`` give orbitals to programs that draw them
(``export.orbital_files``).
"""

from __future__ import annotations

from esml.export.formats import FORMATS, SUFFIXES, format_of, open_writer
from esml.export.hdf5 import (
    FORMAT,
    SCHEMA_VERSION,
    ResultWriter,
    StoredFailure,
    StoredResult,
    StoredResults,
    StoredStates,
    read_results,
)
from esml.export.orbital_files import write_cube, write_cubes, write_molden, write_natural_orbitals
from esml.export.writer import ExportError, Writer, part_path

__all__ = [
    "FORMAT",
    "FORMATS",
    "SCHEMA_VERSION",
    "SUFFIXES",
    "ExportError",
    "ResultWriter",
    "StoredFailure",
    "StoredResult",
    "StoredResults",
    "StoredStates",
    "Writer",
    "format_of",
    "open_writer",
    "part_path",
    "read_results",
    "write_cube",
    "write_cubes",
    "write_molden",
    "write_natural_orbitals",
]
