"""Solvents by name: static permittivity and refractive index of common ones.

``solvents.csv`` holds them, with synonyms and a SMILES. Its ``source`` column: MNSol, the Minnesota
Solvent Descriptor Database (P. Winget, D. M. Dolney, D. J. Giesen, C. J. Cramer, D. G. Truhlar,
University of Minnesota, 1999 and later); CRC, the CRC Handbook of Chemistry and Physics; Reichardt,
C. Reichardt, T. Welton, Solvents and Solvent Effects in Organic Chemistry (Wiley-VCH 2011). The
permittivity is that at 25 °C, or 20 °C where only that is tabulated, the refractive index that of
the sodium D line at 20 °C. ``acidity`` is Abraham's hydrogen-bond acidity, of the same database; it
is empty for solvents without O–H and N–H. Heavy water has water's, and glycerol, 1,2-propanediol
and diethylene glycol, which are not in the database, have that of ethylene glycol; those of
hexafluoro-2-propanol and trifluoroacetic acid are of Abraham et al., J. Chem. Soc., Perkin
Trans. 2, 699 (1989). Other deuterated solvents have the constants of the light ones.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from esml.io.provenance import SurroundingsError
from esml.physics.solvent import Solvent

VACUUM = ("vacuum", "gas", "gas phase", "none", "")
"""Names for no solvent."""


_DEUTERATED = re.compile(r"^d\d*-|-d\d*$", re.IGNORECASE)
"""What DMSO-d6 or d6-DMSO says beyond the name of the light solvent."""

_NUMBERS = re.compile(r"([0-9.]+|inf)\s*[,;]\s*([0-9.]+)(?:\s*[,;]\s*([0-9.]+))?")


NEAR = 0.8
"""Similarity (of ``difflib``) from which on a name is suggested for one that is not known."""

POLAR = 5.0
"""Solvents with this permittivity or more count as polar."""

CLASSES = ("vacuum", "nonpolar", "polar", "hydrogen bonding")
"""Classes of solvents; dielectric models describe the last one least well."""


class SolventError(SurroundingsError):
    """Raised for an unknown solvent; the message is one sentence."""


@cache
def solvents() -> dict[str, Solvent]:
    """Return all solvents by name, in the order of the table."""
    return {row["name"]: _solvent(row) for row in _rows()}


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = (files("esml.io.surroundings") / "solvents.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def _solvent(row: Mapping[str, str]) -> Solvent:
    values = float(row["epsilon"]), float(row["refractive_index"])
    return Solvent(*values, row["name"], float(row["acidity"] or 0.0))


@cache
def _names() -> dict[str, str]:
    """Names in the table, by name, synonym and SMILES in the form of ``_plain``."""
    found = {}
    for row in _rows():
        for name in (row["name"], *filter(None, row["synonyms"].split(";"))):
            found[_plain(name)] = row["name"]
    return found


@cache
def _smiles() -> dict[str, str]:
    return {row["smiles"]: row["name"] for row in _rows()}


@cache
def _structures() -> dict[str, str]:
    """Names in the table by ``_canonical`` of their SMILES; empty without RDKit."""
    found = {_canonical(smiles): name for smiles, name in _smiles().items()}
    return {smiles: name for smiles, name in found.items() if smiles}


def _canonical(smiles: str, light: bool = False) -> str:
    """RDKit's SMILES of a molecule, if ``light`` without isotopes; empty if there is none."""
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        return ""
    with rdBase.BlockLogs():
        molecule = None if " " in smiles else Chem.MolFromSmiles(smiles)
    if molecule is None:
        return ""
    if light:
        for atom in molecule.GetAtoms():
            atom.SetIsotope(0)
        molecule = Chem.RemoveHs(molecule)
    return str(Chem.MolToSmiles(molecule))


def _known(text: str) -> str | None:
    """Name in the table of a solvent given by name, synonym or SMILES; None for others."""
    names = _names()
    known = _smiles().get(text) or names.get(_plain(text))
    known = known or names.get(_plain(_DEUTERATED.sub("", text)))
    if known is not None:
        return known
    structures = _structures()
    return structures.get(_canonical(text)) or structures.get(_canonical(text, light=True))


def _plain(name: str) -> str:
    """``name`` in lower case, without spaces and hyphens."""
    return "".join(c for c in name.lower() if c.isalnum() or c in ",'")


def find_solvent(name: str) -> Solvent | None:
    """Return the solvent for a name, synonym or SMILES in the table; None for vacuum.

    With RDKit, a SMILES may be written in any order. A deuterated solvent, such as DMSO-d6, is the
    light one, except heavy water.
    ``"24.3, 1.36"`` is a solvent with this permittivity and refractive index, and
    ``"24.3, 1.36, 0.37"`` has this hydrogen-bond acidity as well.

    Raises
    ------
    SolventError
        For an unknown name; the message suggests similar ones.
    """
    text = name.strip()
    if text.lower() in VACUUM:
        return None
    if numbers := _NUMBERS.fullmatch(text):
        try:
            return Solvent(float(numbers[1]), float(numbers[2]), acidity=float(numbers[3] or 0.0))
        except ValueError as error:
            raise SolventError(str(error)) from error
    known = _known(text)
    if known is not None:
        return solvents()[known]
    near = difflib.get_close_matches(_plain(text), _names(), n=12, cutoff=NEAR)
    nearest = list(dict.fromkeys(_names()[each] for each in near))[:3]
    hint = f", such as {', '.join(nearest)}" if nearest else " such as water, ethanol or toluene"
    raise SolventError(
        f"solvent {name!r} is not known: expected one of the {len(solvents())} names of "
        f"docs/solvents.md{hint}; take one, or give permittivity and refractive index, such as "
        "'24.3,1.36'"
    )


def solvent_class(solvent: Solvent | None) -> str:
    """Return the class, one of ``CLASSES``, of a solvent.

    Solvents with O–H or N–H, which have an acidity, are hydrogen bonding. Others are polar if ε is
    at least ``POLAR``, else nonpolar.
    """
    if solvent is None:
        return "vacuum"
    if solvent.acidity:
        return "hydrogen bonding"
    return "polar" if solvent.epsilon >= POLAR else "nonpolar"


def as_solvent(given: Any) -> Solvent | None:
    """Convert a name, a ``Solvent`` or None (vacuum) to a solvent.

    Raises
    ------
    SolventError
        For an unknown name, or anything else.
    """
    if given is None or isinstance(given, Solvent):
        return given
    if isinstance(given, str):
        return find_solvent(given)
    raise SolventError(
        f"solvent is {given!r}: expected a name such as 'ethanol' or "
        "esml.Solvent(epsilon, refractive_index); give one or leave it out for vacuum"
    )
