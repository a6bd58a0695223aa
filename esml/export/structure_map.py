"""A map of many molecules for chemiscope (https://chemiscope.org).

G. Fraux, R. K. Cersonsky and M. Ceriotti, J. Open Source Softw. 5, 2117 (2020). Every structure
has S1, T1, the gap, the strongest absorption, the uncertainty of S1, what is around it, and its
absorption curve.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from esml.analysis.spectrum import broaden
from esml.export.writer import ExportError, Writer, part_path
from esml.results import Failure, Outcome

CURVE = np.linspace(1.0, 9.0, 81)
"""Energies of the stored absorption curves, eV."""

CURVE_FWHM = 0.3
"""Full width at half maximum of a line in these curves, eV."""

_PROPERTIES = {
    "S1": ("eV", "lowest singlet excitation energy"),
    "f(S1)": ("", "oscillator strength of S1"),
    "S1 uncertainty": ("eV", "one standard deviation; 0 where the model states none"),
    "in domain": ("", "1 if the molecule is like those the model was trained on, else 0"),
    "T1": ("eV", "lowest triplet excitation energy"),
    "S1 - T1": ("eV", "singlet-triplet gap"),
    "brightest": ("eV", "energy of the singlet of largest oscillator strength"),
    "f(brightest)": ("", "its oscillator strength"),
    "HOMO": ("eV", "energy of the highest occupied orbital"),
    "LUMO": ("eV", "energy of the lowest virtual orbital"),
    "gap": ("eV", "LUMO - HOMO"),
    "dipole": ("debye", "length of the dipole moment"),
}


class ChemiscopeWriter(Writer):
    """Collects predictions and writes them as chemiscope JSON, gzipped if ``path`` ends in .gz.

    The format requires everything in memory until the end. Molecules without singlets or without
    triplets count as failures, because the map cannot show unknown values. Needs the package
    chemiscope. Raises ``ExportError`` without it, or if no molecule is left to show.
    """

    def __init__(self, path: str | Path, **attributes: str | int | float) -> None:
        try:
            import chemiscope
        except ImportError as error:
            raise ExportError(
                f"writing '{path}' needs chemiscope: pip install \"esml[chemiscope]\""
            ) from error
        super().__init__(path)
        self._chemiscope: Any = chemiscope
        self._attributes = attributes
        self._atoms: list[Atoms] = []
        keys = ("name", "surroundings", *_PROPERTIES)
        self._values: dict[str, list[Any]] = {key: [] for key in keys}
        self._curves: list[Any] = []

    def add(self, outcome: Outcome) -> None:
        """Add a result to the map, or count it as a failure if it has no place there."""
        if isinstance(outcome, Failure) or not len(outcome.singlets) or not len(outcome.triplets):
            self.n_failures += 1
            return
        singlets, triplets = outcome.singlets, outcome.triplets
        energies, strengths = singlets.energies, singlets.oscillator_strengths
        bright = int(strengths.argmax())
        found: dict[str, Any] = {
            "name": outcome.name,
            "surroundings": outcome.surroundings,
            "S1": energies[0],
            "f(S1)": strengths[0],
            "S1 uncertainty": np.nan_to_num(singlets.uncertainties)[0],
            "in domain": int(outcome.in_domain),
            "T1": triplets.energies[0],
            "S1 - T1": energies[0] - triplets.energies[0],
            "brightest": energies[bright],
            "f(brightest)": strengths[bright],
            "HOMO": outcome.homo,
            "LUMO": outcome.lumo,
            "gap": outcome.gap,
            "dipole": np.linalg.norm(outcome.dipole),
        }
        for key, value in found.items():
            self._values[key].append(value if isinstance(value, str) else round(float(value), 5))
        curve = broaden(energies, strengths, fwhm=CURVE_FWHM, energies=CURVE)
        self._curves.append(np.round(curve.absorption / 1e3, 3))
        self._atoms.append(Atoms(outcome.numbers, outcome.positions))
        self.n_results += 1

    def _close(self, complete: bool) -> None:
        if not complete:
            return
        if not self._atoms:
            raise ExportError(
                f"'{self.path}' would be an empty map: expected at least one molecule with a "
                "prediction; see the failures"
            )
        text = json.dumps(self._document()).encode()
        part_path(self.path).write_bytes(gzip.compress(text) if self.path.suffix == ".gz" else text)

    def _document(self) -> Any:
        told = ", ".join(f"{key} {value}" for key, value in self._attributes.items())
        properties: dict[str, Any] = {
            key: {"target": "structure", "values": values} for key, values in self._values.items()
        }
        for key, (unit, description) in _PROPERTIES.items():
            properties[key] |= {"description": description} | ({"units": unit} if unit else {})
        properties["absorption"] = {
            "target": "structure",
            "values": np.array(self._curves),
            "parameters": ["energy"],
            "units": "10³ L/mol/cm",
            "description": f"absorption curve, lines of {CURVE_FWHM} eV",
        }
        return self._chemiscope.create_input(
            structures=self._atoms,
            properties=properties,
            parameters={"energy": {"values": CURVE, "name": "energy", "units": "eV"}},
            metadata={
                "name": self.path.name.split(".")[0] or "esml",
                "description": f"Excited states predicted by esml ({told})",
            },
            settings={
                "map": {
                    "x": {"property": "gap"},
                    "y": {"property": "S1"},
                    "color": {"property": "f(S1)"},
                },
                "structure": [{"bonds": True, "unitCell": False}],
            },
        )
