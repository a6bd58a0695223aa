"""Read the HDF5 file of predictions (described in ``hdf5_schema``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from esml.export.hdf5_schema import (
    AXES,
    COLUMNS,
    FAILURE_COLUMNS,
    FAILURE_TEXTS,
    FORMAT,
    SCHEMA_VERSION,
    STATE_COLUMNS,
    TEXTS,
)
from esml.export.plain import maximum_from_plain, solvent_from_plain
from esml.export.writer import ExportError
from esml.io.hdf5_guards import Budget, bounded, check_heaps
from esml.io.provenance import restore
from esml.physics.point_charges import PointCharges
from esml.results import Failure, Result, States
from esml.typing import Multiplicity

Rows = NDArray[Any]


class StoredResults(Sequence[Result]):
    """The predictions of a file, in the order they were written, and its failures."""

    def __init__(
        self,
        columns: Mapping[str, Rows],
        texts: Mapping[str, list[str]],
        attributes: Mapping[str, Any],
    ) -> None:
        self._columns = columns
        self._texts = texts
        self.attributes = dict(attributes)
        self.failures = [
            Failure(name, reason, source, int(index), smiles)
            for name, source, reason, smiles, index in zip(
                *(texts[path] for path in FAILURE_TEXTS), columns["failures/index"], strict=True
            )
        ]

    def __len__(self) -> int:
        return len(self._columns["index"])

    @overload
    def __getitem__(self, i: int) -> Result: ...
    @overload
    def __getitem__(self, i: slice) -> list[Result]: ...
    def __getitem__(self, i: int | slice) -> Result | list[Result]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"result {i} of {len(self)}")
        i %= len(self)
        row: dict[str, Rows] = {}
        for column in COLUMNS:
            values = self._columns[column.path]
            if column.axis == "molecules":
                row[column.path] = values[i]
            else:
                start, end = self._columns[f"offsets/{column.axis}"][i : i + 2]
                row[column.path] = values[start:end]
        atoms = Atoms(row["numbers"], row["positions"])
        # Atomic charges add up to the total charge.
        atoms.info["charge"] = round(float(row["charges"].sum()))
        if kept := self._texts["provenance"][i]:
            restore(atoms, json.loads(kept))
        solvent, maximum = self._texts["solvents"][i], self._texts["band_maxima"][i]
        charges = None
        if len(row["point_charges/charges"]):
            charges = PointCharges(
                row["point_charges/charges"],
                row["point_charges/positions"],
                float(row["point_charges/width"]),
            )
            atoms.info["point_charges"] = charges
        return Result(
            atoms=atoms,
            solvent=solvent_from_plain(atoms, json.loads(solvent) if solvent else None),
            point_charges=charges,
            orbital_energies=row["orbital_energies"],
            n_occupied=int(row["n_occupied"]),
            charges=row["charges"],
            dipole=row["dipole"],
            singlets=_states("singlet", row),
            triplets=_states("triplet", row),
            band_maximum=maximum_from_plain(json.loads(maximum) if maximum else None),
            in_domain=bool(row["in_domain"]),
            warnings=tuple(self._texts["warnings"][i].splitlines()),
            name=self._texts["names"][i],
            source=self._texts["sources"][i],
            index=int(row["index"]),
        )

    def __iter__(self) -> Iterator[Result]:
        return (self[i] for i in range(len(self)))


def _states(multiplicity: Multiplicity, row: Mapping[str, Rows]) -> States:
    return States.of(
        multiplicity,
        {
            name: row[column.path]
            for (m, name), column in STATE_COLUMNS.items()
            if m == multiplicity
        },
    )


def read_results(path: str | Path) -> StoredResults:
    """Read the predictions of an HDF5 file.

    Parameters
    ----------
    path
        A complete file, or the ``.part`` file of a run that was killed.

    Returns
    -------
    Its results and failures, in order.

    Raises
    ------
    ExportError
        If the file is missing or damaged, holds no predictions, or has a newer schema.
    """
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"no file '{path}': expected predictions made by esml predict")
    # Only a file that may still grow is read repeatedly until it is consistent.
    growing = path.name.endswith(".part")
    try:
        if not growing:
            check_heaps(path)
        with h5py.File(path, "r", swmr=growing) as file:
            return _read(file, path)
    except ExportError:
        raise
    # In a damaged file HDF5 can raise any error.
    except Exception as error:
        raise ExportError(
            f"cannot read '{path}' as predictions of esml ({' '.join(str(error).split())[:200]}): "
            "expected a whole file; run esml predict again"
        ) from error


def _read(file: h5py.File, path: Path) -> StoredResults:
    if file.attrs.get("format") != FORMAT:
        raise ExportError(
            f"'{path}' holds no predictions of esml: expected format '{FORMAT}'; choose another"
        )
    version = int(file.attrs["schema_version"])
    if version > SCHEMA_VERSION:
        raise ExportError(
            f"'{path}' has schema version {version}: expected at most {SCHEMA_VERSION}; "
            "update esml to read it"
        )
    budget = Budget(path)

    def rows(name: str, n: int) -> Rows:
        """The first ``n`` rows, which must exist."""
        found = bounded(file, name, budget)
        if not 0 <= n <= len(found):
            raise ValueError(f"{name} has {len(found)} rows where there should be {n}")
        values: Rows = found[:n]
        return values

    def ends(name: str, n: int) -> Rows:
        """Offsets (n + 1,) of the parts of ``n`` molecules."""
        values = rows(name, n + 1) if n else np.zeros(1, dtype=np.int64)
        if values[0] != 0 or (np.diff(values) < 0).any():
            raise ValueError(f"{name} does not ascend from 0")
        return values

    def texts(name: str, n: int) -> list[str]:
        offsets = ends(f"{name}/offsets", n)
        text = rows(f"{name}/text", int(offsets[-1])).tobytes()
        return [text[a:b].decode() for a, b in pairwise(offsets)]

    n_results, n_failures = (int(n) for n in rows("counts", 2))
    # Rows beyond the counts are from an incomplete flush.
    columns = {
        f"offsets/{axis}": (
            ends(f"offsets/{axis}", n_results)
            if version >= since
            else np.zeros(n_results + 1, dtype=np.int64)
        )
        for axis, since in AXES.items()
    }
    lengths = {axis: int(columns[f"offsets/{axis}"][-1]) for axis in AXES}
    lengths |= {"molecules": n_results, "failures": n_failures}
    for column in COLUMNS + FAILURE_COLUMNS:
        if version < column.since:
            shape = (lengths[column.axis], *column.tail)
            columns[column.path] = np.full(shape, column.missing).astype(column.dtype)
            continue
        values = rows(column.path, lengths[column.axis])
        if values.shape[1:] != column.tail or values.dtype.kind not in "iufb":
            raise ValueError(f"{column.path} has shape {values.shape} and type {values.dtype}")
        columns[column.path] = values
    found = {
        text: [""] * n if version < since else texts(text, n)
        for held, n in ((TEXTS, n_results), (FAILURE_TEXTS, n_failures))
        for text, since in held.items()
    }
    return StoredResults(columns, found, file.attrs)
