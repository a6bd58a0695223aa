"""A map of the atoms of many crystals for chemiscope (https://chemiscope.org).

G. Fraux, R. K. Cersonsky and M. Ceriotti, J. Open Source Softw. 5, 2117 (2020). Every atom has
its element, the electrons in its shells and, if it has d orbitals, its d-band centre; every crystal
has its density of states at the zero of energy, the whole density of states as a curve and, from a
model of insulators, its gap.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from esml.export.writer import ExportError
from esml.io.files import write_whole
from esml.results.crystal import Crystal, usual_energies
from esml.typing import Array


def _of_atoms(crystals: Sequence[Crystal]) -> dict[str, Any]:
    populations = np.concatenate([c.populations for c in crystals])
    found: dict[str, Any] = {
        "element": {"values": [s for c in crystals for s in c.atoms.symbols]},
        **{
            f"{shell} electrons": {"values": populations[:, i].round(4), "units": "e"}
            for i, shell in enumerate("spd")
            if populations[:, i].any()
        },
    }
    centres: Array = np.concatenate([c.d_band_centres for c in crystals])
    if np.isfinite(centres).all():
        found["d-band centre"] = {
            "values": centres.round(4),
            "units": "eV",
            "description": "from the Fermi level; states up to 2 eV above it count",
        }
    for entry in found.values():
        entry["target"] = "atom"
    return found


def _of_crystals(crystals: Sequence[Crystal]) -> dict[str, Any]:
    energies = usual_energies()
    curves = np.array([c.dos(energies) for c in crystals])
    at_zero = [float(np.interp(0.0, energies, curve)) for curve in curves]
    found: dict[str, Any] = {
        "name": {"values": [c.name for c in crystals]},
        "in domain": {"values": [int(c.in_domain) for c in crystals]},
        "warnings": {"values": ["; ".join(c.warnings) for c in crystals]},
        "density of states at the zero": {"values": np.round(at_zero, 4), "units": "1/eV"},
        "density of states": {
            "values": curves.round(3),
            "parameters": ["energy"],
            "units": "1/eV",
        },
    }
    if any(c.mesh.insulating for c in crystals):
        found["gap"] = {"values": [round(c.gap, 4) for c in crystals], "units": "eV"}
    for entry in found.values():
        entry["target"] = "structure"
    return found


def write_crystal_map(path: str | Path, crystals: Sequence[Crystal]) -> None:
    """Write a map of ``crystals`` as chemiscope JSON, gzipped if ``path`` ends in .gz.

    Needs the package chemiscope. Raises ``ExportError`` without it, or without crystals.
    """
    try:
        import chemiscope
    except ImportError as error:
        raise ExportError(
            f"writing '{path}' needs chemiscope: pip install \"esml[chemiscope]\""
        ) from error
    if not crystals:
        raise ExportError(f"'{path}' would be an empty map: expected a crystal; give some")
    structures = [c.atoms for c in crystals]
    atoms = _of_atoms(crystals)
    y, colour = ("p electrons", "s electrons")
    if "d-band centre" in atoms:
        y, colour = ("d-band centre", "d electrons")
    path = Path(path)
    document = chemiscope.create_input(
        structures=structures,
        properties=_of_crystals(crystals) | atoms,
        environments=chemiscope.all_atomic_environments(structures),
        parameters={"energy": {"values": usual_energies(), "name": "energy", "units": "eV"}},
        metadata={
            "name": path.name.split(".")[0] or "esml",
            "description": f"Bands predicted by esml (model {crystals[0].model.get('name', '')})",
        },
        settings={
            "map": {
                "x": {"property": "s electrons"},
                "y": {"property": y},
                "color": {"property": colour},
                "symbol": "element",
            },
            "structure": [{"unitCell": True, "spaceFilling": True}],
        },
    )
    text = json.dumps(document).encode()
    write_whole(path, gzip.compress(text) if path.suffix == ".gz" else text)
