"""Predictions of many molecules in files, and orbitals of one.

``open_writer`` streams results in the format a file's name asks for: HDF5 (``hdf5_schema`` lists
what it holds, which is everything; ``read_results`` reads it back), CSV and Parquet (``tables``),
JSON and extended xyz (``documents``), chemiscope (``structure_map``).
``write_molden`` and ``write_cube`` give orbitals to programs that draw them
(``export.orbital_files``).
"""

from __future__ import annotations

from esml.export.formats import FORMATS, SUFFIXES, format_of, open_writer
from esml.export.hdf5_reader import StoredResults, read_results
from esml.export.hdf5_schema import FORMAT, SCHEMA_VERSION
from esml.export.hdf5_writer import ResultWriter
from esml.export.orbital_files import write_cube, write_cubes, write_molden, write_natural_orbitals
from esml.export.spectra import write_spectrum_json
from esml.export.writer import ExportError, Writer, part_path

__all__ = [
    "FORMAT",
    "FORMATS",
    "SCHEMA_VERSION",
    "SUFFIXES",
    "ExportError",
    "ResultWriter",
    "StoredResults",
    "Writer",
    "format_of",
    "open_writer",
    "part_path",
    "read_results",
    "write_cube",
    "write_cubes",
    "write_molden",
    "write_natural_orbitals",
    "write_spectrum_json",
]
