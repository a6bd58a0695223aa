"""Predictions in files that other programs read, and orbitals of one molecule.

``open_writer`` streams results in the format that a file's name asks for; ``read_results`` reads
HDF5 back, which holds everything.

formats        which file gets which format
writer         what every writer of predictions has in common
hdf5_schema    what a file of predictions in HDF5 holds
hdf5_writer    writes it, molecule by molecule
hdf5_reader    reads it back
tables         tables with a row for every molecule: CSV and Parquet
documents      JSON and extended xyz
plain          results as objects that JSON can hold, and back
structure_map  a map of many molecules for chemiscope
merging        the outputs of a job array as one
spectra        a spectrum and what it is compared with, as JSON
orbital_files  Molden and cube files for programs that draw orbitals
crystals       bands, densities of states and sites of crystals
crystal_map    a map of the atoms of many crystals for chemiscope
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
