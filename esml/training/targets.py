"""Labels as padded tensors, to compare with a batch of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from ase import Atoms
from scipy.linalg import block_diag
from torch import Tensor

from esml.io.records import Record, pack, unpack
from esml.typing import Multiplicity

DTYPE = torch.float64


@dataclass(frozen=True)
class StateTargets:
    """Label states of one multiplicity in the orthonormal basis, padded to S states.

    ``plus`` and ``minus`` are C_o (X ± Y) C_vᵀ, scaled to tr(plusᵀ minus) = 1. In the Tamm–Dancoff
    approximation they are equal.
    """

    energies: Tensor  # (M, S) eV
    strengths: Tensor  # (M, S)
    dipoles: Tensor  # (M, S, 3) e·bohr
    plus: Tensor  # (M, S, n, n)
    minus: Tensor  # (M, S, n, n)
    mask: Tensor  # (M, S) true for valence states to learn

    def to(self, device: torch.device) -> StateTargets:
        """Return these targets on ``device``."""
        return StateTargets(*(getattr(self, part.name).to(device) for part in fields(self)))


@dataclass(frozen=True)
class Targets:
    """Labels of M molecules, padded like the predictions to n orbitals and K atoms."""

    hamiltonian: Tensor  # (M, n, n) eV
    dipole_operator: Tensor  # (M, 3, n, n) e·bohr
    orbital_energies: Tensor  # (M, n) eV
    charges: Tensor  # (M, K) e
    dipole: Tensor  # (M, 3) e·bohr
    singlets: StateTargets
    triplets: StateTargets

    def to(self, device: torch.device) -> Targets:
        """Return these targets on ``device``."""
        return Targets(*(getattr(self, part.name).to(device) for part in fields(self)))


def structure(record: Record) -> Atoms:
    """Return the structure of ``record``, with its charge and name."""
    return Atoms(
        numbers=record.numbers,
        positions=record.positions,
        info={"charge": int(record.charge), "name": record.name},
    )


def turned(record: Record, rotation: np.ndarray) -> Record:
    """Return ``record`` rotated (or mirrored).

    Positions, vectors, operators and p orbitals change; energies and amplitudes between canonical
    orbitals do not.

    Parameters
    ----------
    record:
        The labels.
    rotation:
        (3, 3) orthogonal matrix.
    """
    blocks = [np.eye(1) if z == 1 else block_diag(1.0, rotation) for z in record.numbers]
    orbitals = block_diag(*blocks)
    packed = record.dipole_operator
    if packed.size:
        operator = orbitals @ unpack(packed) @ orbitals.T
        packed = pack(np.einsum("xy,ypq->xpq", rotation, operator))
    return replace(
        record,
        positions=record.positions @ rotation.T,
        coefficients=orbitals @ record.coefficients,
        dipole_operator=packed,
        dipole=rotation @ record.dipole,
        singlet_dipoles=record.singlet_dipoles @ rotation.T,
    )


def valence_states(
    energies: np.ndarray, weights: np.ndarray, least_weight: float, highest: float
) -> np.ndarray:
    """Return a mask (S,) of states with weight ≥ ``least_weight`` and energy ≤ ``highest`` (eV)."""
    chosen: np.ndarray = (weights >= least_weight) & (energies <= highest)
    return chosen


def _states(
    records: Sequence[Record], multiplicity: Multiplicity, n: int, least: float, highest: float
) -> StateTargets:
    labels = [getattr(record, f"{multiplicity}_energies") for record in records]
    count = max(max(len(e) for e in labels), 1)
    shape = (len(records), count)
    energies, strengths, mask = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    dipoles = np.zeros((*shape, 3))
    plus, minus = np.zeros((*shape, n, n)), np.zeros((*shape, n, n))
    for m, record in enumerate(records):
        s = len(labels[m])
        energies[m, :s] = labels[m]
        weights = getattr(record, f"{multiplicity}_valence_weights")
        mask[m, :s] = valence_states(labels[m], weights, least, highest)
        c = record.coefficients.astype(np.float64)
        o, size = int(record.n_occupied), len(c)
        x = getattr(record, f"{multiplicity}_x").astype(np.float64)
        y = record.singlet_y.astype(np.float64) if multiplicity == "singlet" else np.zeros_like(x)
        scale = 1.0 / np.sqrt(np.maximum((x**2 - y**2).sum((1, 2)), 1e-3))[:, None, None]
        for amplitudes, out in ((x + y, plus), (x - y, minus)):
            out[m, :s, :size, :size] = c[:, :o] @ (scale * amplitudes) @ c[:, o:].T
        if multiplicity == "singlet":
            strengths[m, :s] = record.singlet_strengths
            dipoles[m, :s] = record.singlet_dipoles
    to = torch.from_numpy
    return StateTargets(to(energies), to(strengths), to(dipoles), to(plus), to(minus), to(mask))


def collate(records: Sequence[Record], least_weight: float, highest: float) -> Targets:
    """Collect the labels of ``records`` in one padded batch in double precision.

    Parameters
    ----------
    records:
        M records.
    least_weight, highest:
        Label states with a smaller valence weight, or above this energy (eV), are masked.

    Returns
    -------
    The targets. A dipole operator that a record lacks is NaN.
    """
    n = max(len(r.energies) for r in records)
    atoms = max(len(r.numbers) for r in records)
    m = len(records)
    hamiltonian, operator = np.zeros((m, n, n)), np.zeros((m, 3, n, n))
    energies, charges, dipole = np.zeros((m, n)), np.zeros((m, atoms)), np.zeros((m, 3))
    for k, record in enumerate(records):
        size = len(record.energies)
        hamiltonian[k, :size, :size] = record.hamiltonian
        known = record.dipole_operator.size > 0
        operator[k, :, :size, :size] = unpack(record.dipole_operator) if known else np.nan
        energies[k, :size] = record.energies
        charges[k, : len(record.numbers)] = record.charges
        dipole[k] = record.dipole
    to = torch.from_numpy
    return Targets(
        to(hamiltonian),
        to(operator),
        to(energies),
        to(charges),
        to(dipole),
        _states(records, "singlet", n, least_weight, highest),
        _states(records, "triplet", n, least_weight, highest),
    )
