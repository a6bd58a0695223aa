"""Write curves over energy as tables (CSV)."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping

from esml.typing import Array
from esml.units import HC


def write_curve(
    path: str | os.PathLike[str], energies: Array, columns: Mapping[str, Array]
) -> None:
    """Write ``columns`` (P,) beside ``energies`` (P,) eV: a header row, then a row for each point.

    The first columns are ``energy_eV`` and ``wavelength_nm``; numbers have ten digits.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["energy_eV", "wavelength_nm", *columns])
        for row in zip(energies, HC / energies, *columns.values(), strict=True):
            writer.writerow([f"{value:.10g}" for value in row])
