"""Shifts of band maxima by vibrations, kept in a file between runs; for ``measured_maxima``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ase import Atoms

import esml
from esml.analysis.normal_modes import NormalModes, normal_modes
from esml.io.geometry import METHOD, xtb_calculator
from esml.predict.vibronic import VibrationalShift, vibrational_shift
from scripts.stores import add_line, lines_of


class VibrationalShifts:
    """Shifts (eV) of dyes in solvents, from a file or computed now and written there.

    Parameters
    ----------
    path
        The file, a JSON object in each line; it need not exist.
    model
        The model.
    name
        Its name in the file.
    """

    def __init__(self, path: Path, model: esml.Surrogate, name: str) -> None:
        self.path, self.model, self.name = path, model, name
        self.known: dict[tuple[str, str, str], VibrationalShift] = {}
        self.last: tuple[str, NormalModes] | None = None  # dye and modes
        for row in lines_of(path):
            key = (row["smiles"], row["solvent"], row["model"])
            self.known[key] = _read(row)

    def __call__(self, entry: dict[str, Any], solvent: str) -> VibrationalShift:
        """Return the shift of the dye of ``entry``, a line of geometries; nan if it has none."""
        key = (entry["smiles"], solvent, self.name)
        if key not in self.known:
            row = dict(zip(("smiles", "solvent", "model"), key, strict=True))
            row |= self._computed(entry, solvent)
            self.known[key] = _read(row)
            add_line(self.path, row)
        return self.known[key]

    def _computed(self, entry: dict[str, Any], solvent: str) -> dict[str, Any]:
        atoms = Atoms(entry["numbers"], entry["positions"], info={"charge": entry["charge"]})
        try:
            if self.last is None or self.last[0] != entry["smiles"]:
                modes = normal_modes(atoms, xtb_calculator(entry["charge"]), METHOD)
                self.last = entry["smiles"], modes
            shift = vibrational_shift(self.model, atoms, self.last[1], solvent)
        except (ValueError, RuntimeError) as error:
            return {"error": str(error)}
        if shift is None:
            return {"shift": math.nan}
        return {"shift": round(shift.energy, 4), "doubts": shift.doubts}


def _read(row: dict[str, Any]) -> VibrationalShift:
    """Return the shift in a line of the file; nan if there is none."""
    return VibrationalShift(row.get("shift", math.nan), tuple(row.get("doubts", ())))
