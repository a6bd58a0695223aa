"""Find the reader for a file by its suffix, in any case, and if that is ambiguous by its content.

============== =================================================================================
kind           names and contents
============== =================================================================================
xyz            ``.xyz``, ``.extxyz``; any other name ASE does not know if a number stands first
sdf            ``.sdf``, ``.sd``, ``.mol``, ``.mdl``
mol2           ``.mol2``
pdb            ``.pdb``, ``.ent``
coord          ``coord``, ``.coord``, ``.tmol`` (Turbomole), or ``$coord`` first
gaussian       ``.gjf``, ``.com``, ``.gau`` (inputs)
orca           ``.inp`` with ``* xyz`` or ``%coords`` (inputs)
calculation    ``.log``, ``.out``, … that a known program wrote (outputs)
smiles         ``.smi``, ``.smiles``, ``.csv``, ``.tsv``, ``.tab``; ``.txt`` with SMILES
ase            everything else
============== =================================================================================
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from ase.io.formats import extension2format, ioformats

from esml.io.formats.programs import program_of
from esml.io.formats.programs.inputs import is_orca_input
from esml.io.formats.smiles_lists import EITHER, LISTS, TABLES, looks_like_list
from esml.io.text import head, suffix_of

Kind = Literal[
    "xyz", "sdf", "mol2", "pdb", "coord", "gaussian", "orca", "calculation", "smiles", "ase"
]

BY_SUFFIX: dict[str, Kind] = {
    ".xyz": "xyz",
    ".extxyz": "xyz",
    ".sdf": "sdf",
    ".sd": "sdf",
    ".mol": "sdf",
    ".mdl": "sdf",
    ".mol2": "mol2",
    ".pdb": "pdb",
    ".ent": "pdb",
    ".coord": "coord",
    ".tmol": "coord",
    ".gjf": "gaussian",
    ".com": "gaussian",
    ".gau": "gaussian",
    **dict.fromkeys((*LISTS, *TABLES), "smiles"),
}

OUTPUTS = (".log", ".out", ".output", ".lis")
"""Suffixes of outputs."""

IN_CAPITALS = {s.lstrip(".") for s in (*BY_SUFFIX, *OUTPUTS, *EITHER)} | {"cif", "traj", "json"}
"""Suffixes also recognized in capitals; none of them is a SMILES."""

SUFFIXES = (
    {extension for form in ioformats.values() for extension in form.extensions}
    | IN_CAPITALS
    | {"inp"}
)
"""Suffixes of geometry files."""


def kind_of(path: Path) -> Kind:
    """Return the kind of the file ``path``; see the table above."""
    suffix = suffix_of(path)
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if path.name.lower() == "coord":
        return "coord"
    beginning = head(path)
    first = next((line for line in beginning.split("\n") if line.strip()), "")
    if (suffix in OUTPUTS or suffix in EITHER) and program_of(path) is not None:
        return "calculation"
    if suffix == ".inp" and is_orca_input(beginning):
        return "orca"
    if re.match(r"\s*\$coord\b", first):
        return "coord"
    known = suffix.lstrip(".") in extension2format and suffix not in EITHER
    if not known and re.fullmatch(r"\s*[+-]?\d{1,99}\s*", first):
        return "xyz"
    if suffix in EITHER and looks_like_list(path, beginning):
        return "smiles"
    return "ase"


def ase_format(path: Path) -> str | None:
    """Return ASE's name for the format of a suffix in capitals; None lets ASE decide."""
    suffix = path.suffix.lstrip(".")
    form = extension2format.get(suffix.lower()) if suffix != suffix.lower() else None
    return form.name if form is not None else None
