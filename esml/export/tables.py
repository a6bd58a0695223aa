"""Tables with one row per molecule: CSV for everything, Parquet for pandas, Polars and clusters.

====================== ======== ====================================================
column                 unit     meaning
====================== ======== ====================================================
name, source, index             name of the structure, its source and index there from 0
smiles                          SMILES from which the geometry was made
formula, n_atoms, charge        chemical formula, number of atoms, total charge
homo_eV, lumo_eV,      eV       frontier orbitals and their difference
gap_eV
dipole_debye           debye    length of the dipole moment
absorption_max_nm      nm       maximum of the lowest band at 180 nm or longer
expected_max_nm,       nm, eV   maximum of the lowest band to expect in a measured
expected_max_eV                 spectrum, in a solvent, and its uncertainty
expected_max_uncertainty_eV
expected_max_doubt              why it is doubtful; empty if it is not
colour, colour_hex              colour of a solution of 0.05 mmol/L, path 1 cm, at the
                                maximum to expect if there is one
S1_eV, S1_nm           eV, nm   energy and wavelength of the first singlet
S1_f, …                         its other properties that have a column in
                                ``esml.results.States``, in the units given there;
                                ``S1_two_photon_au``, … only if requested
S2_eV, …                        the same for further singlets, as many as requested
T1_eV, T1_nm, …                 the same for triplets, without what is zero for them
in_domain                       1 if the molecule is like those trained on, else 0
warnings                        why it is not, and other remarks
error                           why there is no prediction; empty if there is one
charge_source, geometry,        where charge and geometry are from, and what else the
notes                           reader of the structure decided
solvent                         its name, or permittivity and refractive index; empty
                                in vacuum
n_point_charges                 number of point charges around the molecule, or empty
====================== ======== ====================================================

Unknown values are empty cells in CSV and null in Parquet.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from esml.export.writer import ExportError, TextWriter, Writer, cannot_write, part_path
from esml.io.provenance import Provenance
from esml.io.structure_checks import molecular_charge
from esml.results import Failure, Outcome, Property, Result
from esml.results.states import told_properties
from esml.typing import MULTIPLICITIES

ROWS = 1024
"""Number of rows of a Parquet file written together."""

WAVELENGTH = "nm"
"""Suffix of the wavelength columns, which follow the energies."""

_PROVENANCE = ("charge_source", "geometry", "notes")
_COLOURS = ("colour", "colour_hex")
_EXPECTED = (
    "expected_max_nm",
    "expected_max_eV",
    "expected_max_uncertainty_eV",
    "expected_max_doubt",
)
_REMARKS = ("warnings", "error", *_PROVENANCE, "solvent")
_TEXTS = ("name", "source", "smiles", "formula", _EXPECTED[-1], *_COLOURS, *_REMARKS)
_WHOLE = ("index", "n_atoms", "charge", "in_domain", "n_point_charges")


def columns(n_states: int, extras: Collection[str] = ()) -> list[str]:
    """Return the names of the columns for ``n_states`` singlets and triplets.

    ``extras`` names the optional properties that get columns.
    """
    names = ["name", "source", "index", "smiles", "formula", "n_atoms", "charge"]
    names += ["homo_eV", "lumo_eV", "gap_eV", "dipole_debye"]
    names += ["absorption_max_nm", *_EXPECTED, *_COLOURS]
    for multiplicity in MULTIPLICITIES:
        shown = told_properties(multiplicity, extras)
        letter, endings = multiplicity[0].upper(), list(_endings(shown).values())
        endings.insert(1, WAVELENGTH)
        names += [f"{letter}{k}_{ending}" for k in range(1, n_states + 1) for ending in endings]
    return [*names, "in_domain", "warnings", "error", *_PROVENANCE, "solvent", "n_point_charges"]


def _endings(properties: Mapping[str, Property]) -> dict[str, str]:
    """Suffixes of the columns of a state, by property."""
    return {name: how.ending or how.column for name, how in properties.items() if how.column}


def row(outcome: Outcome) -> dict[str, Any]:
    """Return the cells of one molecule by column, without unknown values."""
    cells: dict[str, Any] = {
        "name": outcome.name,
        "source": outcome.source,
        "index": outcome.index,
    }
    if isinstance(outcome, Failure):
        cells |= {"smiles": outcome.smiles} if outcome.smiles else {}
        return cells | {"error": outcome.reason}
    cells |= {
        "formula": outcome.atoms.get_chemical_formula(),
        "n_atoms": len(outcome.atoms),
        "charge": molecular_charge(outcome.atoms),
        "homo_eV": outcome.homo,
        "lumo_eV": outcome.lumo,
        "gap_eV": outcome.gap,
        "dipole_debye": float(np.linalg.norm(outcome.dipole)),
        "absorption_max_nm": outcome.absorption_max_nm,
        "in_domain": int(outcome.in_domain),
    }
    if (expected := outcome.band_maximum) is not None:
        told = (expected.wavelength, expected.energy, expected.uncertainty, expected.doubt)
        cells |= dict(zip(_EXPECTED, told, strict=True))
    if outcome.colour is not None:
        cells |= {"colour": outcome.colour.name, "colour_hex": outcome.colour.hex}
    provenance = Provenance.of(outcome.atoms)
    if provenance.smiles:
        cells["smiles"] = provenance.smiles
    remarks = (provenance.charge_source, provenance.geometry, "; ".join(provenance.remarks()))
    cells |= {key: text for key, text in zip(_PROVENANCE, remarks, strict=True) if text}
    if outcome.solvent is not None:
        cells["solvent"] = outcome.solvent.label
    if outcome.point_charges is not None:
        cells["n_point_charges"] = len(outcome.point_charges)
    if outcome.warnings:
        cells["warnings"] = "; ".join(outcome.warnings)
    for states in (outcome.singlets, outcome.triplets):
        for name, ending in _endings(states.told).items():
            values = zip(states.labels, getattr(states, name).tolist(), strict=True)
            cells |= {f"{label}_{ending}": value for label, value in values}
        wavelengths = zip(states.labels, states.wavelengths.tolist(), strict=True)
        cells |= {f"{label}_{WAVELENGTH}": value for label, value in wavelengths}
    return {
        key: value
        for key, value in cells.items()
        if not isinstance(value, float) or math.isfinite(value)
    }


def _check_columns(outcome: Outcome, extras: Collection[str]) -> None:
    """Raise ExportError for properties without a column: the head is already written."""
    lacking = [] if isinstance(outcome, Failure) else outcome.singlets.extras
    lacking = [name for name in lacking if name not in extras]
    if lacking:
        raise ExportError(
            f"'{outcome.name}' has {', '.join(lacking)}, for which the table has no columns: "
            "expected them in extras of open_writer; name them there"
        )


class CsvWriter(TextWriter):
    """Streams predictions to a CSV table; ``extras`` as in ``columns``."""

    def __init__(self, path: str | Path, n_states: int, extras: Collection[str] = ()) -> None:
        super().__init__(path)
        self._extras = extras
        self._columns = columns(n_states, extras)

    def head(self) -> str:
        return self._line(dict(zip(self._columns, self._columns, strict=True)))

    def piece(self, result: Result) -> str:
        _check_columns(result, self._extras)
        return self._line(row(result))

    def failure(self, failure: Failure) -> str:
        return self._line(row(failure))

    def _line(self, cells: dict[str, Any]) -> str:
        line = io.StringIO()
        written = {k: f"{v:.8g}" if isinstance(v, float) else v for k, v in cells.items()}
        csv.DictWriter(line, self._columns, lineterminator="\n").writerow(written)
        return line.getvalue()


class ParquetWriter(Writer):
    """Streams predictions to a Parquet table, ``extras`` as in ``columns``; needs pyarrow.

    Keyword ``attributes`` go to the metadata of the file. Raises ``ExportError`` without pyarrow
    or if the file cannot be created.
    """

    def __init__(
        self,
        path: str | Path,
        n_states: int,
        extras: Collection[str] = (),
        **attributes: str | int | float,
    ) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ExportError(
                f"writing '{path}' needs pyarrow: pip install \"esml[tables]\", or choose a name "
                "that ends in .csv"
            ) from error
        super().__init__(path)
        self._arrow: Any = pa
        self._extras = extras
        self._rows: list[dict[str, Any]] = []
        types = {**dict.fromkeys(_TEXTS, pa.string()), **dict.fromkeys(_WHOLE, pa.int64())}
        fields = [(name, types.get(name, pa.float64())) for name in columns(n_states, extras)]
        metadata = {key: str(value) for key, value in attributes.items()}
        self._schema: Any = pa.schema(fields, metadata=metadata)
        try:
            self._file: Any = pq.ParquetWriter(str(part_path(self.path)), self._schema)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _close(self, complete: bool) -> None:
        self._flush()
        self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Append a result or a failure."""
        _check_columns(outcome, self._extras)
        self._rows.append(row(outcome))
        if isinstance(outcome, Failure):
            self.n_failures += 1
        else:
            self.n_results += 1
        if len(self._rows) == ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = self._arrow.Table.from_pylist(self._rows, schema=self._schema)
            self._file.write_table(table)
            self._rows.clear()
