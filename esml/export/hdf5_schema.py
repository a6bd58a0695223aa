"""Contents of the HDF5 file of predictions, which is written molecule by molecule.

Molecules differ in size, so every quantity is stored flat, one molecule after the other, with the
offsets of each molecule in a separate dataset: the atoms of molecule i are
``numbers[offsets/atoms[i] : offsets/atoms[i + 1]]``.

=============================== =========== =================== ========
dataset                         shape       meaning             unit
=============================== =========== =================== ========
counts                          (2,)        molecules, failures
offsets/atoms, …/orbitals,      (M + 1,)    see above
…/singlets, …/triplets,
…/point_charges
names/text, sources/text        (bytes,)    UTF-8, with its own
                                            ``offsets``
index                           (M,)        index in its source
numbers                         (atoms,)    atomic numbers
positions                       (atoms, 3)                      Å
charges                         (atoms,)    atomic charges      e
n_occupied                      (M,)        number of occupied
                                            orbitals
orbital_energies                (orbitals,) ascending           eV
dipole                          (M, 3)                          debye
singlets/energies, …            (singlets,  the properties of   of ``States``
                                …)          ``esml.results.
                                            States`` by name
triplets/energies, …            (triplets,  without those that  of ``States``
                                …)          are zero for them
in_domain                       (M,)        1 if the molecule is
                                            like those trained on
warnings/text                   (bytes,)    like names; a line for
                                            each warning
provenance/text                 (bytes,)    like names; JSON of what
                                            the structure's reader
                                            decided (charge,
                                            geometry, …)
solvents/text                   (bytes,)    like names; JSON of the
                                            solvent (name, epsilon,
                                            refractive_index,
                                            acidity), empty for
                                            vacuum
band_maxima/text                (bytes,)    like names; JSON of the
                                            maximum to expect in a
                                            spectrum (energy and
                                            uncertainty, eV;
                                            beyond), empty if there
                                            is none
point_charges/charges           (point_     charges around a    e
                                charges,)   molecule
point_charges/positions         (point_                         Å
                                charges, 3)
point_charges/width             (M,)        σ of their          Å
                                potential, nan
                                where there are none
failures/names, …/sources,      (bytes,)    molecules without a
…/reasons, …/smiles                         prediction, and why
failures/index                  (F,)        index in its source
=============================== =========== =================== ========

The root attributes are ``format`` ("esml-predictions"), ``schema_version`` and those given to the
writer. ``Column.since`` and the tables of texts below give the first schema version with a
dataset; ``docs/files.md`` lists all datasets and what each version lacks. A file grows under the
name ``PATH.part`` and is renamed when it is complete; the ``.part`` file of a killed run is
readable up to its last flush.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from esml.results import PROPERTIES
from esml.typing import MULTIPLICITIES

FORMAT = "esml-predictions"


@dataclass(frozen=True)
class Column:
    """One dataset: the axis of its rows, and the shape, type and unit of a row."""

    path: str
    axis: str  # a key of offsets, or "molecules" for one row per molecule
    tail: tuple[int, ...]
    dtype: type[np.generic]
    unit: str = ""
    since: int = 1  # first version of the schema that has it
    missing: float = np.nan  # value read from older files


STATE_COLUMNS = {
    (multiplicity, name): Column(
        f"{multiplicity}s/{name}",
        f"{multiplicity}s",
        how.shape,
        np.float64,
        how.unit,
        how.since,
    )
    for multiplicity in MULTIPLICITIES
    for name, how in PROPERTIES.items()
    if how.concerns(multiplicity)
}
"""The properties of states, by multiplicity and name."""

COLUMNS = (
    Column("index", "molecules", (), np.int64),
    Column("numbers", "atoms", (), np.int64),
    Column("positions", "atoms", (3,), np.float64, "Å"),
    Column("charges", "atoms", (), np.float64, "e"),
    Column("n_occupied", "molecules", (), np.int64),
    Column("orbital_energies", "orbitals", (), np.float64, "eV"),
    Column("dipole", "molecules", (3,), np.float64, "debye"),
    *STATE_COLUMNS.values(),
    Column("in_domain", "molecules", (), np.int8, since=2, missing=1),
    Column("point_charges/charges", "point_charges", (), np.float64, "e", since=6),
    Column("point_charges/positions", "point_charges", (3,), np.float64, "Å", since=6),
    Column("point_charges/width", "molecules", (), np.float64, "Å", since=6),
)
FAILURE_COLUMNS = (Column("failures/index", "failures", (), np.int64),)

AXES = dict.fromkeys(("atoms", "orbitals", *(f"{each}s" for each in MULTIPLICITIES)), 1)
AXES |= {"point_charges": 6}
"""Axes with several rows per molecule, and the first version of the schema that has them."""

TEXTS = {"names": 1, "sources": 1, "warnings": 2, "provenance": 3, "solvents": 5, "band_maxima": 10}
"""Texts of a molecule, and the first version of the schema that has them."""

FAILURE_TEXTS = {
    "failures/names": 1,
    "failures/sources": 1,
    "failures/reasons": 1,
    "failures/smiles": 7,
}
"""Texts of a failure, and the first version of the schema that has them."""

ACIDITY = 9
"""First version of the schema whose solvents have an acidity."""

SCHEMA_VERSION = max(
    *TEXTS.values(), *FAILURE_TEXTS.values(), *(column.since for column in COLUMNS), ACIDITY
)
