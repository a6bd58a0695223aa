"""Write crystals: bands, densities of states and sites as tables (CSV), or all of them (HDF5)."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from esml.io.files import write_whole
from esml.results.crystal import SHELLS, BandPath, Crystal
from esml.typing import Array

Place = str | os.PathLike[str]
FORMAT, VERSION = "esml-crystal", 1


def _rows(path: Place, columns: Mapping[str, Sequence[Any] | Array]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([f"{v:.8g}" if isinstance(v, float) else v for v in row])


def write_bands(path: Place, bands: BandPath) -> None:
    """Write bands as a table with a row for each k point.

    Columns are the distance along the path, the special point, k, and the bands in eV.

    Parameters
    ----------
    path
        The file to write.
    bands
        The bands along a path.
    """
    names = ["" for _ in bands.distances]
    for row, name in bands.labels:
        names[row] = name
    columns: dict[str, Sequence[Any] | Array] = {"distance": bands.distances, "point": names}
    columns |= {f"k{i + 1}": bands.k_points[:, i] for i in range(3)}
    columns |= {f"band{n + 1}_eV": bands.energies[:, n] for n in range(bands.energies.shape[1])}
    _rows(path, columns)


def by_element(crystal: Crystal, projected: Array) -> dict[str, Array]:
    """Return sums (G,) over the atoms of each element, by names such as ``Ni_d``."""
    symbols = np.array(crystal.atoms.symbols)
    return {
        f"{element}_{shell}": projected[symbols == element, s].sum(0)
        for element in dict.fromkeys(symbols.tolist())
        for s, shell in enumerate(SHELLS)
    }


def write_dos(path: Place, crystal: Crystal, energies: Array, projected: Array) -> None:
    """Write densities of states as a table with a row for each energy.

    Columns are the energy from the zero in eV, the total, and each element and shell.

    Parameters
    ----------
    path
        The file to write.
    crystal
        The prediction.
    energies
        Energies from the zero, eV.
    projected
        Densities of states on atoms and shells at these energies; see ``Crystal.projected_dos``.
    """
    columns: dict[str, Array] = {"energy_eV": energies, "total": projected.sum((0, 1))}
    _rows(path, columns | by_element(crystal, projected))


def write_sites(path: Place, crystal: Crystal) -> None:
    """Write a table of atoms: d-band centre, electrons in s, p and d, charge.

    Parameters
    ----------
    path
        The file to write.
    crystal
        The prediction.
    """
    _rows(path, crystal.sites())


def write_bonds(path: Place, crystal: Crystal) -> None:
    """Write a table of bonds: their atoms, length and share of the band energy.

    Parameters
    ----------
    path
        The file to write.
    crystal
        The prediction.
    """
    bonds = crystal.bonds()
    symbols = list(crystal.atoms.symbols)
    columns: dict[str, Sequence[Any]] = {
        "first": [b.first for b in bonds],
        "second": [b.second for b in bonds],
        "elements": [f"{symbols[b.first]}-{symbols[b.second]}" for b in bonds],
        **{f"cell{i + 1}": [b.image[i] for b in bonds] for i in range(3)},
        "distance_A": [b.distance for b in bonds],
        "integrated_cohp_eV": [b.energy for b in bonds],
    }
    _rows(path, columns)


def write_crystal(
    path: Place,
    crystal: Crystal,
    energies: Array,
    projected: Array,
    bands: BandPath | None = None,
) -> None:
    """Write a whole prediction to one HDF5 file, whole or not at all.

    Datasets have an attribute ``unit``; attributes of the file name the model. Attributes of the
    group ``bands`` are its path, and ``labels`` and ``rows`` of special points. The
    gap of a metal is zero.

    Parameters
    ----------
    path
        The file to write.
    crystal
        The prediction.
    energies, projected
        As in ``write_dos``.
    bands
        Bands along a path; optional.
    """
    with h5py.File("crystal.h5", "w", driver="core", backing_store=False) as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["model"] = str(crystal.model.get("name", ""))
        file.attrs["fermi_level_eV"], file.attrs["gap_eV"] = crystal.fermi_level, crystal.gap
        file.attrs["zero"] = crystal.zero
        file.attrs["warnings"] = "; ".join(crystal.warnings)
        stored: dict[str, tuple[Any, str]] = {
            "numbers": (crystal.numbers, ""),
            "positions": (crystal.atoms.positions, "Å"),
            "cell": (crystal.atoms.cell.array, "Å"),
            "divisions": (crystal.divisions, ""),
            "d_band_centres": (crystal.d_band_centres, "eV"),
            "populations": (crystal.populations, "e"),
            "charges": (crystal.charges, "e"),
            "shifts": (crystal.shifts, "eV"),
            "dos/energies": (energies, "eV"),
            "dos/total": (projected.sum((0, 1)), "1/eV"),
            "dos/projected": (projected, "1/eV"),
        }
        if bands is not None:
            stored |= {
                "bands/k_points": (bands.k_points, ""),
                "bands/distances": (bands.distances, "1/Å"),
                "bands/energies": (bands.energies, "eV"),
                "bands/d_shares": (bands.d_shares, ""),
            }
        for name, (values, unit) in stored.items():
            file.create_dataset(name, data=np.asarray(values)).attrs["unit"] = unit
        if bands is not None:
            group = file["bands"]
            group.attrs["path"] = bands.path
            group.attrs["labels"] = [name for _, name in bands.labels]
            group.attrs["rows"] = [row for row, _ in bands.labels]
        file.flush()
        content = file.id.get_file_image()
    write_whole(Path(path), content)
