"""Convert results to JSON-serializable objects, and back, without loss.

A result has ``name``, ``source``, ``index``, ``numbers``, ``positions`` (Å), ``charge``,
``charges`` (e), ``provenance`` (what the reader of the structure decided: see
``esml.io.provenance.Provenance``; without empty entries), ``dipole`` (debye), ``n_occupied``,
``orbital_energies`` (eV), ``in_domain``, ``warnings``, and ``singlets`` and ``triplets`` with the
properties of ``esml.results.States`` by name, without those not requested. A failure has ``name``,
``source``, ``index``, ``reason`` and ``smiles``, which is empty if none was given. ``solvent`` is
null in vacuum, else ``name``, ``epsilon``, ``refractive_index`` and ``acidity``; ``point_charges``
is null if there are none, else ``charges`` (e), ``positions`` (Å) and ``width`` (Å). Wave functions
are left out.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from ase import Atoms

from esml.io.provenance import Provenance, restore
from esml.io.structure_checks import molecular_charge
from esml.physics.point_charges import PointCharges
from esml.physics.solvent import Solvent
from esml.results import PROPERTIES, Failure, Outcome, Result, States
from esml.results.band_maximum import BandMaximum
from esml.typing import Multiplicity


def to_plain(outcome: Outcome) -> dict[str, Any]:
    """Convert ``outcome`` to dictionaries, lists, numbers and texts; numbers may be nan."""
    where = {"name": outcome.name, "source": outcome.source, "index": outcome.index}
    if isinstance(outcome, Failure):
        return where | {"reason": outcome.reason, "smiles": outcome.smiles}
    return where | {
        "numbers": outcome.numbers.tolist(),
        "positions": outcome.positions.tolist(),
        "charge": molecular_charge(outcome.atoms),
        "provenance": Provenance.of(outcome.atoms).as_dict(),
        "charges": outcome.charges.tolist(),
        "dipole": outcome.dipole.tolist(),
        "n_occupied": outcome.n_occupied,
        "orbital_energies": outcome.orbital_energies.tolist(),
        "solvent": plain_solvent(outcome.solvent),
        "point_charges": plain_charges(outcome.point_charges),
        "band_maximum": plain_maximum(outcome.band_maximum),
        "in_domain": outcome.in_domain,
        "warnings": list(outcome.warnings),
        "singlets": _plain_states(outcome.singlets),
        "triplets": _plain_states(outcome.triplets),
    }


def plain_solvent(solvent: Solvent | None) -> dict[str, Any] | None:
    """Return ``name``, ``epsilon``, ``refractive_index`` and ``acidity``; None for vacuum."""
    return None if solvent is None else asdict(solvent)


def solvent_from_plain(atoms: Atoms, entry: dict[str, Any] | None) -> Solvent | None:
    """Invert ``plain_solvent`` and store the solvent in ``atoms``."""
    if entry is None:
        return None
    solvent = Solvent(**entry)
    atoms.info["solvent"] = solvent
    return solvent


def plain_maximum(maximum: BandMaximum | None) -> dict[str, Any] | None:
    """Return ``energy`` and ``uncertainty`` (eV) and ``beyond``; None if there is none."""
    return None if maximum is None else asdict(maximum) | {"beyond": list(maximum.beyond)}


def maximum_from_plain(entry: dict[str, Any] | None) -> BandMaximum | None:
    """Invert ``plain_maximum``."""
    return None if entry is None else BandMaximum(**entry | {"beyond": tuple(entry["beyond"])})


def plain_charges(charges: PointCharges | None) -> dict[str, Any] | None:
    """Return ``charges`` (e), ``positions`` and ``width`` (Å); None if there are no charges."""
    if charges is None:
        return None
    return {
        "charges": charges.charges.tolist(),
        "positions": charges.positions.tolist(),
        "width": charges.width,
    }


def charges_from_plain(atoms: Atoms, entry: dict[str, Any] | None) -> PointCharges | None:
    """Invert ``plain_charges`` and store the charges in ``atoms``."""
    if entry is None:
        return None
    charges = PointCharges(**entry)
    atoms.info["point_charges"] = charges
    return charges


def _plain_states(states: States) -> dict[str, Any]:
    return {name: getattr(states, name).tolist() for name in states.told}


def from_plain(entry: dict[str, Any]) -> Outcome:
    """Invert ``to_plain``. Raises KeyError, TypeError or ValueError for other data."""
    where = {key: entry[key] for key in ("name", "source", "index")}
    if "reason" in entry:
        return Failure(reason=entry["reason"], smiles=entry.get("smiles", ""), **where)
    atoms = Atoms(entry["numbers"], np.reshape(entry["positions"], (-1, 3)))
    atoms.info["charge"] = entry["charge"]
    restore(atoms, entry.get("provenance", {}))
    return Result(
        atoms=atoms,
        orbital_energies=_array(entry["orbital_energies"]),
        n_occupied=entry["n_occupied"],
        charges=_array(entry["charges"]),
        dipole=_array(entry["dipole"]),
        singlets=_states("singlet", entry["singlets"]),
        triplets=_states("triplet", entry["triplets"]),
        solvent=solvent_from_plain(atoms, entry.get("solvent")),
        point_charges=charges_from_plain(atoms, entry.get("point_charges")),
        band_maximum=maximum_from_plain(entry.get("band_maximum")),
        in_domain=entry["in_domain"],
        warnings=tuple(entry["warnings"]),
        **where,
    )


def _states(multiplicity: Multiplicity, values: dict[str, Any]) -> States:
    return States.of(
        multiplicity,
        {name: _array(values[name], *PROPERTIES[name].shape) for name in values},
    )


def _array(values: Any, *tail: int) -> Any:
    return np.array(values, dtype=np.float64).reshape(-1, *tail)


def rounded(entry: Any, decimals: int = 8) -> Any:
    """Round numbers in ``entry`` to ``decimals``; None replaces those that are not finite."""
    if isinstance(entry, dict):
        return {key: rounded(value, decimals) for key, value in entry.items()}
    if isinstance(entry, list):
        return [rounded(value, decimals) for value in entry]
    if isinstance(entry, float):
        return round(entry, decimals) if math.isfinite(entry) else None
    return entry
