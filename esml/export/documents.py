"""Predictions as JSON and as extended xyz.

JSON (``.json``) is one object: ``format`` ("esml-predictions-json"), ``schema_version``, the
attributes given to the writer, ``results`` and ``failures``. A result holds ``name``, ``source``,
``index``, ``numbers``, ``positions`` (Å), ``charge``, ``charges`` (e), ``dipole`` (debye),
``n_occupied``, ``orbital_energies`` (eV), ``in_domain`` (whether the molecule is like those the
model was trained on), ``warnings`` (sentences), and ``singlets`` and ``triplets`` with the
properties of states by name, in the units of ``esml.results.States``. Triplets lack the properties
that are zero for them, and ``two_photon_…`` is present only if requested. A failure holds
``name``, ``source``, ``index``, ``reason`` and ``smiles`` (empty if none was given). Unknown
numbers are null. ``provenance`` says what the reader of the structure decided: ``charge_source``,
``geometry``, ``stereo``, ``fragments`` and ``notes``. ``absorption_max_nm`` is the maximum of the
lowest band at 180 nm or longer wavelengths. ``colour`` is that of a solution of 0.05 mmol/L with a
path of 1 cm, as ``name`` and ``hex``. Version 1 had neither ``in_domain`` nor ``warnings``, version
2 no ``provenance``, version 3 no ``rotatory_strengths``, version 4 neither ``absorption_max_nm``
nor ``colour``, version 5 no ``solvent`` (null in vacuum, else ``name``, ``epsilon`` and
``refractive_index``), version 6 no ``point_charges`` (null where there are none, else ``charges``
in e, ``positions`` and ``width`` in Å), version 7 no ``smiles`` of a failure, version 8 no
``two_photon_strengths``, ``two_photon_circular_strengths`` and ``two_photon_cross_sections``,
version 9 no ``acidity`` of a solvent, version 10 no ``band_maximum`` (the maximum to expect in a
measured spectrum, null without one, else ``energy`` and ``uncertainty`` in eV and ``beyond``, why
it is doubtful).
``.jsonl`` holds the same results and failures, one object per line.

Extended xyz (``.xyz``) holds the structures as ASE writes them: atomic charges (e) and the dipole
(e·Å) as results of a calculator, and ``name``, ``source``, ``index``, ``homo_eV``, ``lumo_eV``,
``gap_eV``, ``charge``, ``charge_source``, ``geometry``, ``notes``, the properties of states that
tables show (``S_eV``, ``S_f``, …, ``T_eV``, …, all states of a property in one array),
``in_domain``, ``solvent`` (not in vacuum), ``n_point_charges`` (if there are any) and
``absorption_max_nm`` in ``info``. Molecules without a prediction are left out.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_extxyz

from esml.export.plain import rounded, to_plain
from esml.export.writer import TextWriter
from esml.io.provenance import Provenance
from esml.io.structure_checks import molecular_charge
from esml.results import Failure, Result
from esml.units import BOHR, DEBYE

FORMAT = "esml-predictions-json"
SCHEMA_VERSION = 11


class JsonWriter(TextWriter):
    """Streams predictions to one JSON object or, with ``lines``, to one object per line."""

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

    def piece(self, result: Result) -> str:
        entry = to_plain(result) | {"absorption_max_nm": result.absorption_max_nm}
        if result.colour is not None:
            entry["colour"] = {"name": result.colour.name, "hex": result.colour.hex}
        text = json.dumps(rounded(entry), ensure_ascii=False)
        if self._lines:
            return text + "\n"
        return ("," if self.n_results else "") + "\n" + text

    def failure(self, failure: Failure) -> str:
        entry = to_plain(failure)
        if self._lines:
            return json.dumps(entry, ensure_ascii=False) + "\n"
        self._failures.append(entry)
        return ""


class XyzWriter(TextWriter):
    """Streams predictions to extended xyz; see the top of this module."""

    def piece(self, result: Result) -> str:
        bare = Atoms(result.numbers, result.positions)
        provenance = Provenance.of(result.atoms)
        texts = {
            "name": result.name,
            "source": result.source,
            "charge_source": provenance.charge_source,
            "geometry": provenance.geometry,
            "notes": "; ".join(provenance.remarks()),
            "solvent": result.solvent.label if result.solvent else "",
        }
        bare.info = {key: _one_line(text) for key, text in texts.items() if text.strip()}
        bare.info |= {
            "index": result.index,
            "charge": molecular_charge(result.atoms),
            "homo_eV": result.homo,
            "lumo_eV": result.lumo,
            "gap_eV": result.gap,
        }
        for states in (result.singlets, result.triplets):
            for name, how in states.told.items():
                if how.column:
                    key = f"{states.multiplicity[0].upper()}_{how.ending or how.column}"
                    bare.info[key] = getattr(states, name)
        bare.info["in_domain"] = result.in_domain
        bare.info["absorption_max_nm"] = result.absorption_max_nm
        if result.point_charges is not None:
            bare.info["n_point_charges"] = len(result.point_charges)
        bare.calc = SinglePointCalculator(
            bare, charges=result.charges, dipole=result.dipole / DEBYE * BOHR
        )
        text = io.StringIO()
        write_extxyz(text, [bare])
        return text.getvalue()

    def failure(self, failure: Failure) -> str:
        return ""


def _one_line(text: str) -> str:
    """``text`` on one line, with backslashes escaped, because ASE's writer escapes only quotes."""
    return " ".join(text.split()).replace("\\", "\\\\")
