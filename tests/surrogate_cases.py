"""Models with random weights, molecules, and what makes two results the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from numpy.typing import NDArray

from esml.analysis.normal_modes import NormalModes
from esml.analysis.vibronic import VibronicBand, VibronicSpectrum, vibronic_spectrum
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.hamiltonian import EffectiveHamiltonian, HamiltonianConfig
from esml.physics.basis import ELEMENTS
from esml.predict.surrogate import Surrogate
from esml.results import Result, States
from esml.units import BOHR, DEBYE

Array = NDArray[np.float64]


CONFIG = HamiltonianConfig(
    network=NetworkConfig(channels=6, layers=2, cutoff=4.0, radial=4, radial_hidden=8),
    pair_onset=2.5,
    pair_cutoff=4.0,
    pair_channels=4,
    hidden=8,
    products=2,
)


ALL = 10_000
"""More states than any molecule here has."""


def perturbed(mean_field: str = CONFIG.mean_field) -> Surrogate:
    """A model without the zeros its output layers start from.

    Weak exchange keeps ground states stable, which those of an untrained model need not be.
    """
    torch.manual_seed(1)
    config = CONFIG.model_copy(update={"mean_field": mean_field})
    hamiltonian = EffectiveHamiltonian(config).double()
    hamiltonian.set_baseline({z: {"hardness_exchange": 2.0} for z in ELEMENTS})
    with torch.no_grad():
        for parameter in hamiltonian.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Surrogate(hamiltonian, {"validation_rmse_eV": {"singlets": 0.3, "triplets": 0.2}}).eval()


def read_one(path: str | Path) -> Atoms:
    """The last structure of a file; ASE's own reader may also give a list."""
    atoms = ase.io.read(path)
    assert isinstance(atoms, Atoms)
    return atoms


def read_all(path: str | Path) -> list[Atoms]:
    """All structures of a file."""
    frames = ase.io.read(path, ":")
    assert isinstance(frames, list)
    return frames


def kept(array: Array | None) -> Array:
    """A matrix of a result: predictions have it, results read from small files do not."""
    assert array is not None
    return array


def distorted(name: str, seed: int = 0, size: float = 0.04) -> Atoms:
    """A molecule without any symmetry."""
    atoms: Atoms = molecule(name)
    atoms.rattle(size, seed=seed)
    return atoms


def ring(size: int, radii: tuple[float, ...], symbols: str) -> Atoms:
    """An exact regular polygon of CH groups."""
    angles = 2 * np.pi * np.arange(size) / size
    unit = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    positions = np.concatenate([r * unit for r in radii])
    return Atoms(symbols, positions=positions)


def benzene() -> Atoms:
    return ring(6, (1.395, 2.482), "C6H6")


def ammonia() -> Atoms:
    apex = Atoms("N", positions=[[0.0, 0.0, 0.30]])
    atoms: Atoms = apex + ring(3, (0.94,), "H3")
    return atoms


def nitrogen() -> Atoms:
    return Atoms("N2", positions=[[0, 0, 0], [0.3, 0.5, 0.92]])


SYMMETRIC = {"benzene": benzene, "ammonia": ammonia, "nitrogen": nitrogen}


def formate() -> Atoms:
    """Low in symmetry and negative."""
    positions = [[0.0, 0.0, 0.0], [1.25, 0.05, 0.02], [-0.62, 1.10, 0.0], [-0.52, -1.02, 0.1]]
    return Atoms("COOH", positions=positions, info={"charge": -1})


def turn_orbitals(atoms: Atoms, rotation: Array) -> Array:
    """(n, n) the rotation of s, x, y, z of every atom."""
    blocks = []
    for number in atoms.numbers:
        blocks.append(np.eye(1))
        if number != 1:
            blocks.append(rotation)
    n = sum(len(b) for b in blocks)
    matrix, start = np.zeros((n, n)), 0
    for block in blocks:
        matrix[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return matrix


def orbital_order(atoms: Atoms, order: list[int]) -> list[int]:
    """Which orbitals of ``atoms`` those of ``atoms[order]`` are."""
    counts = np.where(atoms.numbers == 1, 1, 4)
    first = np.cumsum(counts) - counts
    return [first[a] + k for a in order for k in range(counts[a])]


def degenerate_sets(energies: Array) -> list[list[int]]:
    sets: list[list[int]] = []
    for state, energy in enumerate(energies.tolist()):
        if sets and energy - energies[sets[-1][-1]] < 1e-6:
            sets[-1].append(state)
        else:
            sets.append([state])
    return sets


def assert_same_states(
    found: States, expected: States, tolerance: float, rotation: Array | None = None
) -> None:
    """Energies state by state; strengths and Σ μ ⊗ μ by degenerate set, so that neither the sign
    of a transition dipole nor the choice of axes within a set counts."""
    q = np.eye(3) if rotation is None else rotation
    np.testing.assert_allclose(found.energies, expected.energies, atol=tolerance, rtol=0)
    np.testing.assert_allclose(found.uncertainties, expected.uncertainties, rtol=1e-3)
    for states in degenerate_sets(expected.energies):
        strengths = (x.oscillator_strengths[states].sum() for x in (found, expected))
        assert abs(float(np.diff(list(strengths))[0])) < tolerance
        tensor, turned = (
            np.einsum("sx,sy->xy", x.transition_dipoles[states], x.transition_dipoles[states])
            for x in (found, expected)
        )
        np.testing.assert_allclose(tensor, q @ turned @ q.T, atol=10 * tolerance, rtol=0)


def assert_same(
    found: Result,
    expected: Result,
    tolerance: float = 1e-8,
    rotation: Array | None = None,
    shift: Array | None = None,
    order: list[int] | None = None,
) -> None:
    """``found`` is ``expected`` with its atoms turned, then shifted (Å), then reordered."""
    q = np.eye(3) if rotation is None else rotation
    moved = np.zeros(3) if shift is None else shift
    order = list(range(len(expected.atoms))) if order is None else order
    assert found.n_occupied == expected.n_occupied
    close: dict[str, Any] = {"atol": tolerance, "rtol": 0}
    np.testing.assert_allclose(found.orbital_energies, expected.orbital_energies, **close)
    np.testing.assert_allclose(found.charges, expected.charges[order], **close)
    dipole = q @ expected.dipole + expected.charges.sum() * moved / BOHR * DEBYE
    np.testing.assert_allclose(found.dipole, dipole, **close)
    turn = turn_orbitals(expected.atoms, q)
    index = orbital_order(expected.atoms, order)
    turned = (turn @ kept(expected.hamiltonian) @ turn.T)[np.ix_(index, index)]
    np.testing.assert_allclose(kept(found.hamiltonian), turned, **close)
    assert_same_states(found.singlets, expected.singlets, tolerance, q)
    assert_same_states(found.triplets, expected.triplets, tolerance, q)


NAMES = ("H2O", "CH3CHO", "HCN", "H2O2", "CH3SH", "H2CO", "C2H4", "CH3Cl", "NH3", "C2H2")


def assorted() -> list[Atoms]:
    return [distorted(name, seed) for seed, name in enumerate(NAMES)]


def vibronic(result: Result) -> VibronicSpectrum:
    """The vibronic spectrum of ``result`` as if one mode of 0.2 eV were displaced in all states."""
    modes = NormalModes(np.array([0.2]), np.zeros((1, len(result.atoms), 3)))
    states = result.singlets
    bands = [
        VibronicBand(float(energy), float(strength), np.array([1.5]), modes, label)
        for energy, strength, label in zip(
            states.energies, states.oscillator_strengths, states.labels, strict=True
        )
    ]
    return vibronic_spectrum(bands)
