"""Export of predictions to files that other programs read, and of orbitals of one molecule.

``open_writer`` streams results in the format that the file name implies; ``read_results`` reads
HDF5 back, which holds everything.

formats        formats by the name of the file
writer         base classes of all writers of predictions
hdf5_schema    contents of the HDF5 file of predictions
hdf5_writer    writes it, molecule by molecule
hdf5_reader    reads it back
tables         tables with a row for every molecule: CSV and Parquet
documents      JSON and extended xyz
plain          results to JSON-serializable objects, and back
structure_map  a map of many molecules for chemiscope
merging        merges the outputs of a job array
spectra        a spectrum and the measured one, as JSON
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
