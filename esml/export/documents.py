"""Predictions as JSON and as extended xyz.

JSON (``.json``) is one object: ``format`` ("esml-predictions-json"), ``schema_version``, what the
writer was told of the run, ``results`` and ``failures``. A result holds ``name``, ``source``,
``index``, ``numbers``, ``positions`` (Å), ``charge``, ``charges`` (e), ``dipole`` (debye),
``n_occupied``, ``orbital_energies`` (eV), ``in_domain`` (whether the molecule is like those the
model was trained on), ``warnings`` (sentences), and ``singlets`` and ``triplets`` with ``energies``
and ``uncertainties`` (eV), the former with ``oscillator_strengths`` and ``transition_dipoles``
(e·bohr) too. A failure holds ``name``, ``source``, ``index`` and ``reason``. Numbers that are
unknown are null. Version 1 had neither ``in_domain`` nor ``warnings``. ``.jsonl`` holds the same
results, one object a line, and among them failures.

Extended xyz (``.xyz``) holds the structures in ASE's own terms: atomic charges (e) and the dipole
(e·Å) as results of a calculator, and ``name``, ``source``, ``index``, ``homo_eV``, ``lumo_eV``,
``gap_eV``, ``S_eV``, ``S_f``, ``S_uncertainty_eV``, ``T_eV``, ``T_uncertainty_eV`` and
``in_domain`` in ``info``. It has no place for molecules without a prediction.
"""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_extxyz

from esml.export.writer import Prediction, TextWriter, frontier
from esml.io.structure_checks import molecular_charge
from esml.units import BOHR, DEBYE

FORMAT = "esml-predictions-json"
SCHEMA_VERSION = 2


class JsonWriter(TextWriter):
    """Streams predictions to one JSON object, or with ``lines`` to one object a line."""

    def __init__(
        self, path: str | Path, lines: bool = False, **attributes: str | int | float
    ) -> None:
        super().__init__(path)
        self._lines = lines
        self._attributes = attributes
        self._failures: list[dict[str, Any]] = []

    def head(self) -> str:
        if self._lines:
            return ""
        opening = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **self._attributes}
        return json.dumps(opening, ensure_ascii=False)[:-1] + ', "results": ['

    def end(self) -> str:
        if self._lines:
            return ""
        return f'\n], "failures": {json.dumps(self._failures, ensure_ascii=False)}}}\n'

    def piece(self, result: Prediction, atoms: Atoms, name: str, source: str, index: int) -> str:
        text = json.dumps(record(result, atoms, name, source, index), ensure_ascii=False)
        if self._lines:
            return text + "\n"
        return ("," if self.n_results else "") + "\n" + text

    def failure(self, name: str, reason: str, source: str, index: int) -> str:
        entry = {"name": name, "source": source, "index": index, "reason": reason}
        if self._lines:
            return json.dumps(entry, ensure_ascii=False) + "\n"
        self._failures.append(entry)
        return ""


def record(result: Prediction, atoms: Atoms, name: str, source: str, index: int) -> dict[str, Any]:
    """A prediction as an object that JSON can hold; see the module."""
    singlets, triplets = result.singlets, result.triplets
    return {
        "name": name,
        "source": source,
        "index": index,
        "numbers": atoms.numbers.tolist(),
        "positions": _plain(atoms.positions),
        "charge": molecular_charge(atoms),
        "charges": _plain(result.charges),
        "dipole": _plain(result.dipole),
        "n_occupied": int(result.n_occupied),
        "orbital_energies": _plain(result.orbital_energies),
        "in_domain": bool(result.in_domain),
        "warnings": list(result.warnings),
        "singlets": {
            "energies": _plain(singlets.energies),
            "uncertainties": _plain(singlets.uncertainties),
            "oscillator_strengths": _plain(singlets.oscillator_strengths),
            "transition_dipoles": _plain(singlets.transition_dipoles),
        },
        "triplets": {
            "energies": _plain(triplets.energies),
            "uncertainties": _plain(triplets.uncertainties),
        },
    }


def _plain(values: Any) -> Any:
    """Nested lists of numbers, null where one is not finite."""

    def known(value: Any) -> Any:
        if isinstance(value, list):
            return [known(entry) for entry in value]
        return round(value, 8) if math.isfinite(value) else None

    return known(np.asarray(values, dtype=np.float64).tolist())


class XyzWriter(TextWriter):
    """Streams predictions to extended xyz; see the module."""

    def piece(self, result: Prediction, atoms: Atoms, name: str, source: str, index: int) -> str:
        homo, lumo = frontier(result)
        bare = Atoms(atoms.numbers, atoms.positions)
        texts = {"name": name, "source": source}
        bare.info = {key: _one_line(text) for key, text in texts.items() if text.strip()}
        bare.info |= {
            "index": index,
            "charge": molecular_charge(atoms),
            "homo_eV": homo,
            "lumo_eV": lumo,
            "gap_eV": lumo - homo,
            "S_eV": np.asarray(result.singlets.energies),
            "S_f": np.asarray(result.singlets.oscillator_strengths),
            "S_uncertainty_eV": np.asarray(result.singlets.uncertainties),
            "T_eV": np.asarray(result.triplets.energies),
            "T_uncertainty_eV": np.asarray(result.triplets.uncertainties),
            "in_domain": bool(result.in_domain),
        }
        bare.calc = SinglePointCalculator(
            bare,
            charges=np.asarray(result.charges),
            dipole=np.asarray(result.dipole) / DEBYE * BOHR,
        )
        text = io.StringIO()
        write_extxyz(text, [bare])
        return text.getvalue()

    def failure(self, name: str, reason: str, source: str, index: int) -> str:
        return ""


def _one_line(text: str) -> str:
    """``text`` as ASE's writer must be given it to come back: it escapes quotes, no backslashes."""
    return " ".join(text.split()).replace("\\", "\\\\")
