"""Records of reference calculations, in sealed HDF5 files.

fields     fields of the classes of records
molecules  ``Record``: a molecule, its Hamiltonians and excitations
crystals   ``CrystalRecord``: a crystal, its Hamiltonian and bands
shards     writes and reads files of either
"""

from esml.io.records.crystals import CrystalRecord
from esml.io.records.fields import StoredRecord, array_field, text_field
from esml.io.records.molecules import SCHEMA_VERSION, Record, pack, unpack
from esml.io.records.shards import (
    DamagedError,
    DatasetError,
    iterate,
    read,
    read_shard,
    sealed,
    shard_paths,
    write_shard,
)

__all__ = [
    "SCHEMA_VERSION",
    "CrystalRecord",
    "DamagedError",
    "DatasetError",
    "Record",
    "StoredRecord",
    "array_field",
    "iterate",
    "pack",
    "read",
    "read_shard",
    "sealed",
    "shard_paths",
    "text_field",
    "unpack",
    "write_shard",
]
