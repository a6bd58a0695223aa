"""Tables with one row a molecule: CSV for everything, Parquet for pandas, Polars and clusters.

====================== ======== ====================================================
column                 unit     meaning
====================== ======== ====================================================
name, source, index             of the structure, place in its source from 0
formula, n_atoms, charge        chemical formula, atoms, total charge
homo_eV, lumo_eV,      eV       frontier orbitals and their difference
gap_eV
dipole_debye           debye    length of the dipole moment
S1_eV, S1_f,           eV       energy, oscillator strength and uncertainty of the
S1_uncertainty_eV, …            first singlet, and so on up to the states asked for
T1_eV,                 eV       the same of triplets, which have no strength
T1_uncertainty_eV, …
in_domain                       1 if the molecule is like those trained on, else 0
warnings                        why it is not, and other remarks
error                           why there is no prediction; empty where there is one
====================== ======== ====================================================

What is unknown is an empty cell in CSV and null in Parquet.
"""

from __future__ import annotations

import csv
import io
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from ase import Atoms

from esml.export.writer import (
    ExportError,
    Prediction,
    TextWriter,
    Writer,
    cannot_write,
    frontier,
    part_path,
)
from esml.io.structure_checks import molecular_charge

ROWS = 1024
"""Rows of a Parquet file written together."""

_TEXTS = ("name", "source", "formula", "warnings", "error")
_WHOLE = ("index", "n_atoms", "charge", "in_domain")


def columns(n_states: int) -> list[str]:
    """Names of the columns for ``n_states`` singlets and triplets."""
    names = ["name", "source", "index", "formula", "n_atoms", "charge"]
    names += ["homo_eV", "lumo_eV", "gap_eV", "dipole_debye"]
    for k in range(1, n_states + 1):
        names += [f"S{k}_eV", f"S{k}_f", f"S{k}_uncertainty_eV"]
    for k in range(1, n_states + 1):
        names += [f"T{k}_eV", f"T{k}_uncertainty_eV"]
    return [*names, "in_domain", "warnings", "error"]


def row(result: Prediction, atoms: Atoms, name: str, source: str, index: int) -> dict[str, Any]:
    """The cells of one molecule by column; what is unknown is left out."""
    homo, lumo = frontier(result)
    cells: dict[str, Any] = {
        "name": name,
        "source": source,
        "index": index,
        "formula": atoms.get_chemical_formula(),
        "n_atoms": len(atoms),
        "charge": molecular_charge(atoms),
        "homo_eV": homo,
        "lumo_eV": lumo,
        "gap_eV": lumo - homo,
        "dipole_debye": float(np.linalg.norm(np.asarray(result.dipole))),
        "in_domain": int(result.in_domain),
    }
    if result.warnings:
        cells["warnings"] = "; ".join(result.warnings)
    for letter, states in (("S", result.singlets), ("T", result.triplets)):
        for k, energy in enumerate(np.asarray(states.energies), start=1):
            cells[f"{letter}{k}_eV"] = float(energy)
            cells[f"{letter}{k}_uncertainty_eV"] = float(np.asarray(states.uncertainties)[k - 1])
    for k, strength in enumerate(np.asarray(result.singlets.oscillator_strengths), start=1):
        cells[f"S{k}_f"] = float(strength)
    return {
        key: value
        for key, value in cells.items()
        if not isinstance(value, float) or math.isfinite(value)
    }


class CsvWriter(TextWriter):
    """Streams predictions to a CSV table."""

    def __init__(self, path: str | Path, n_states: int) -> None:
        super().__init__(path)
        self._columns = columns(n_states)

    def head(self) -> str:
        return self._line(dict(zip(self._columns, self._columns, strict=True)))

    def piece(self, result: Prediction, atoms: Atoms, name: str, source: str, index: int) -> str:
        return self._line(row(result, atoms, name, source, index))

    def failure(self, name: str, reason: str, source: str, index: int) -> str:
        return self._line({"name": name, "source": source, "index": index, "error": reason})

    def _line(self, cells: dict[str, Any]) -> str:
        line = io.StringIO()
        written = {k: f"{v:.8g}" if isinstance(v, float) else v for k, v in cells.items()}
        csv.DictWriter(line, self._columns, lineterminator="\n").writerow(written)
        return line.getvalue()


class ParquetWriter:
    """Streams predictions to a Parquet table; needs pyarrow.

    Keyword ``attributes`` go to the metadata of the file. Raises ``ExportError`` without pyarrow
    and where the file cannot be created.
    """

    def __init__(self, path: str | Path, n_states: int, **attributes: str | int | float) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ExportError(
                f"writing '{path}' needs pyarrow: pip install \"esml[tables]\", or choose a name "
                "that ends in .csv"
            ) from error
        self.path = Path(path)
        self.n_results = 0
        self.n_failures = 0
        self._arrow: Any = pa
        self._rows: list[dict[str, Any]] = []
        kinds = {**dict.fromkeys(_TEXTS, pa.string()), **dict.fromkeys(_WHOLE, pa.int64())}
        fields = [(name, kinds.get(name, pa.float64())) for name in columns(n_states)]
        metadata = {key: str(value) for key, value in attributes.items()}
        self._schema: Any = pa.schema(fields, metadata=metadata)
        try:
            self._file: Any = pq.ParquetWriter(str(part_path(self.path)), self._schema)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flush()
        self._file.close()
        if kind is None:
            os.replace(part_path(self.path), self.path)

    def add(
        self, result: Prediction, atoms: Atoms, *, name: str, source: str = "", index: int = 0
    ) -> None:
        """Append the prediction ``result`` for ``atoms``, structure ``index`` of ``source``."""
        self._append(row(result, atoms, name, source, index))
        self.n_results += 1

    def add_failure(self, name: str, reason: str, *, source: str = "", index: int = 0) -> None:
        """Record that there is no prediction for ``name``, structure ``index`` of ``source``."""
        self._append({"name": name, "source": source, "index": index, "error": reason})
        self.n_failures += 1

    def _append(self, cells: dict[str, Any]) -> None:
        self._rows.append(cells)
        if len(self._rows) == ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = self._arrow.Table.from_pylist(self._rows, schema=self._schema)
            self._file.write_table(table)
            self._rows.clear()
