"""How far a model's predictions are from records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import torch
from ase import Atoms

from esml.io.records import CrystalRecord
from esml.physics.crystals import Bands, k_mesh, orbitals_of
from esml.predict.crystals import CrystalSurrogate
from esml.results.crystal import Crystal
from esml.typing import Array

NEAR = 0.5
"""eV from the Fermi level: bands whose errors are stated apart."""
SAME = 1e-4
"""eV above the zero up to which a band counts as occupied: that of an insulator is one of them."""
DOS_TOP = 2.0
"""eV from the Fermi level, up to which densities of states are compared."""


def structure(record: CrystalRecord) -> Atoms:
    """The crystal of a record."""
    info = {"name": record.name}
    return Atoms(record.numbers, record.positions, cell=record.cell, pbc=True, info=info)


@dataclass
class CrystalScores:
    """Errors of crystals, one entry for each; eV where nothing else is said."""

    names: list[str] = field(default_factory=list)  # of the crystals
    d_centres: list[Array] = field(default_factory=list)  # predicted minus reference, of atoms
    d_populations: list[Array] = field(default_factory=list)  # e
    near: list[float] = field(default_factory=list)  # mean |error| of bands within 0.5 eV
    occupied: list[float] = field(default_factory=list)  # of those below the Fermi level
    dos: list[float] = field(default_factory=list)  # ∫|D − D_ref| / ∫ D_ref
    gaps: list[float] = field(default_factory=list)  # predicted minus reference; nan for metals
    seconds: list[float] = field(default_factory=list)  # of prediction

    def summary(self) -> dict[str, float]:
        """Means; of centres and populations over atoms, of the rest over crystals."""
        if not self.names:
            return {}
        centres = np.abs(np.concatenate(self.d_centres))
        gaps = np.abs(self.gaps)
        own = (
            {"gap_mae_eV": float(gaps.mean())}
            if np.isfinite(gaps).all()
            else {
                "d_centre_mae_eV": float(centres.mean()),
                "d_centre_max_eV": float(centres.max()),
                "d_population_mae_e": float(np.abs(np.concatenate(self.d_populations)).mean()),
            }
        )
        return own | {
            "near_fermi_mae_eV": float(np.mean(self.near)),
            "occupied_mae_eV": float(np.mean(self.occupied)),
            "dos_l1": float(np.mean(self.dos)),
            "seconds": float(np.sum(self.seconds)),
        }


def _bands(crystal: Crystal, record: CrystalRecord) -> tuple[float, float]:
    """Mean errors of bands on the record's own k mesh, near and below the Fermi level."""
    h = crystal.hamiltonian.at(torch.as_tensor(record.k_points))
    predicted = (torch.linalg.eigvalsh(h) - crystal.mesh.zero).numpy()
    reference = record.energies[:, : predicted.shape[1]].astype(float)
    exact = np.arange(predicted.shape[1]) < record.n_exact[:, None]
    off = np.abs(predicted - reference)
    weights = record.k_weights[:, None] * exact
    found = []
    for kept in (np.abs(reference) < NEAR, reference < SAME):
        share = weights * kept
        found.append(float((off * share).sum() / share.sum()) if share.any() else np.nan)
    return found[0], found[1]


def _gap_on(crystal: Crystal, record: CrystalRecord) -> float:
    """Error of the gap between the bands of the record's own k mesh, those of the large basis."""
    filled = int(record.n_electrons) // 2
    found = torch.linalg.eigvalsh(crystal.hamiltonian.at(torch.as_tensor(record.k_points))).numpy()
    return float(found[:, filled].min() - found[:, filled - 1].max()) - record.gap


def scores(model: CrystalSurrogate, records: Sequence[CrystalRecord]) -> CrystalScores:
    """Errors of ``model`` on the dense meshes of ``records``."""
    result = CrystalScores()
    energies = np.linspace(-8.0, DOS_TOP, 201)
    at = torch.as_tensor(energies)
    for record in records:
        began = perf_counter()
        divisions = record.dense_divisions.tolist()
        crystal = model.predict(structure(record), divisions)
        dos = crystal.dos(energies)
        result.seconds.append(perf_counter() - began)
        mesh = k_mesh(divisions)
        width = crystal.mesh.width
        insulating = model.model.config.insulating
        bands = Bands.of(record.hamiltonian, mesh, float(record.n_electrons), width, insulating)
        reference = bands.density_of_states(at).numpy()
        near, occupied = _bands(crystal, record)
        result.gaps.append(_gap_on(crystal, record) if insulating else np.nan)
        result.names.append(record.name)
        own = np.array([len(d) > 0 for d in orbitals_of(record.numbers.tolist(), "d")])
        result.d_centres.append(crystal.d_band_centres[own] - record.d_centres)
        result.d_populations.append(crystal.populations[:, 2] - record.populations[:, 2])
        result.near.append(near)
        result.occupied.append(occupied)
        result.dos.append(float(np.abs(dos - reference).sum() / reference.sum()))
    return result
