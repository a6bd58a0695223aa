"""Readers of structure files, one module for each kind of format.

atom_tables   PDB, MOL2 and Turbomole
xyz           xyz files of every dialect
rdkit_files   MOL and SD files
smiles_lists  lists and tables of SMILES
programs      inputs and outputs of quantum-chemistry programs
kinds         finds the reader for a file
reading       reads the entries of a file
"""

from esml.io.formats.atom_tables import Table
from esml.io.formats.kinds import SUFFIXES, Kind, kind_of
from esml.io.formats.reading import Item, items_of

__all__ = [
    "SUFFIXES",
    "Item",
    "Kind",
    "Table",
    "items_of",
    "kind_of",
]
