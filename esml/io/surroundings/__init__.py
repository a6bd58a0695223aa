"""Surroundings of a molecule: a solvent or point charges.

solvent_names  solvents by name, with permittivity and refractive index
point_charges  files of point charges
placement      ``Atoms`` that carry them, from readers to the model
"""

from esml.io.provenance import SurroundingsError
from esml.io.surroundings.placement import Surroundings, each_within, surroundings_of, within
from esml.io.surroundings.point_charges import (
    PointChargesError,
    as_point_charges,
    read_point_charges,
)
from esml.io.surroundings.solvent_names import (
    SolventError,
    as_solvent,
    find_solvent,
    solvent_class,
    solvents,
)

__all__ = [
    "PointChargesError",
    "SolventError",
    "Surroundings",
    "SurroundingsError",
    "as_point_charges",
    "as_solvent",
    "each_within",
    "find_solvent",
    "read_point_charges",
    "solvent_class",
    "solvents",
    "surroundings_of",
    "within",
]
