"""Make 3D geometries for SMILES and drawings, in separate processes.

    embedding   starting conformers of all stereoisomers that an input leaves open
    relaxation  relaxation with GFN2-xTB
    building    embedding and relaxation, until one geometry or an ensemble is left
    workers     runs all of this in other processes, one per core

``python -m esml.io.geometry`` is such a process.
"""

from esml.io.geometry.building import Built, parse_smiles
from esml.io.geometry.embedding import SETTINGS, Settings, is_own_mirror_image
from esml.io.geometry.relaxation import METHOD, converging, model_hessian, relaxed, xtb_calculator
from esml.io.geometry.workers import Request, Worker, build, build_many, cores

__all__ = [
    "METHOD",
    "SETTINGS",
    "Built",
    "Request",
    "Settings",
    "Worker",
    "build",
    "build_many",
    "converging",
    "cores",
    "is_own_mirror_image",
    "model_hessian",
    "parse_smiles",
    "relaxed",
    "xtb_calculator",
]
