"""Transition dipoles along modes: followed states, selection rules, and what is doubtful."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

pytest.importorskip("tblite")

import esml
from esml.analysis.normal_modes import NormalModes, normal_modes
from esml.analysis.transitions import overlaps
from esml.analysis.vibronic import VibronicBand
from esml.io.geometry import xtb_calculator
from esml.physics import Strategy
from esml.predict.dipole_slopes import STEP, UNLIKE, dipole_expansions
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate
from esml.predict.vibronic import vibronic_bands

SHIPPED = Path(__file__).parents[1] / "data" / "version-0.1.0.safetensors"
"""For what is true of one model only."""


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


@pytest.fixture(scope="module")
def aldehyde() -> tuple[Atoms, NormalModes]:
    atoms = molecule("H2CO")
    return atoms, normal_modes(atoms, xtb_calculator(0))


@pytest.fixture(scope="module")
def aldehyde_bands(model: Surrogate, aldehyde: tuple[Atoms, NormalModes]) -> list[VibronicBand]:
    return bands_of(model, *aldehyde)


def bands_of(model: Surrogate, atoms: Atoms, modes: NormalModes) -> list[VibronicBand]:
    return vibronic_bands(model, atoms, None, 3, modes, herzberg_teller=True)


def test_the_forbidden_band_of_formaldehyde(
    aldehyde: tuple[Atoms, NormalModes], aldehyde_bands: list[VibronicBand]
) -> None:
    """¹A₂ has no dipole; the bend out of plane lends most, polarized in the plane, across C=O.

    J. A. Pople and J. W. Sidman, J. Chem. Phys. 27, 1270 (1957), who computed f = 3·10⁻⁴.
    """
    atoms, modes = aldehyde
    first = aldehyde_bands[0]
    assert first.strength < 1e-8
    assert not first.warnings
    assert 1e-4 < first.thermal_strength(0.0) < 1e-3
    lent = first.borrowed(0.0)
    main = int(lent.argmax())
    assert lent[main] > 0.8 * lent.sum()
    bond = atoms.positions[0] - atoms.positions[1]
    normal = np.cross(bond, atoms.positions[2] - atoms.positions[1])
    across = np.cross(normal, bond)
    normal, across = (axis / np.linalg.norm(axis) for axis in (normal, across))
    moved = modes.displacements[main]
    assert np.linalg.norm(moved @ normal) == pytest.approx(np.linalg.norm(moved), rel=1e-3)
    assert first.expansion is not None
    slope = first.expansion.slopes[main]
    assert abs(slope @ across) == pytest.approx(np.linalg.norm(slope), rel=1e-3)
    # Modes that keep both mirror planes lend nothing.
    for k, way in enumerate(modes.displacements):
        if np.abs(way @ normal).max() + np.abs(way[:2] @ across).max() < 1e-4:
            assert lent[k] < 1e-8


def test_dipoles_elsewhere_are_the_expansion(
    model: Surrogate, aldehyde: tuple[Atoms, NormalModes], aldehyde_bands: list[VibronicBand]
) -> None:
    """|μ|² of oscillator strengths where all modes are moved at once: there is no sign to track."""
    atoms, modes = aldehyde
    q = 0.05 * np.random.default_rng(0).normal(size=len(modes.energies))
    moved = atoms.copy()
    moved.positions += np.einsum("v,vax->ax", q, modes.displacements)
    there = model.predict(moved, 3).singlets
    squares = there.oscillator_strengths / (2 / 3 * there.energies / 27.211386)
    for place, tolerance in ((0, 0.02), (1, 0.005)):
        expansion = aldehyde_bands[place].expansion
        assert expansion is not None
        linear = expansion.dipole + q @ expansion.slopes
        assert squares[place] == pytest.approx(linear @ linear, rel=tolerance)


def test_step_and_axes_change_nothing(
    model: Surrogate, aldehyde: tuple[Atoms, NormalModes], aldehyde_bands: list[VibronicBand]
) -> None:
    atoms, modes = aldehyde
    bands = aldehyde_bands
    grid = np.linspace(3.5, 10.0, 2000)
    strengths = np.array([band.thermal_strength(300.0) for band in bands])
    gradients = excitation_gradients(model, atoms, range(3)).gradients
    half = dipole_expansions(model, atoms, modes, gradients, step=0.5 * STEP)
    turn = Rotation.from_rotvec([0.4, -1.0, 0.3]).as_matrix()
    turned = Atoms(atoms.numbers, atoms.positions @ turn.T)
    others = bands_of(model, turned, replace(modes, displacements=modes.displacements @ turn.T))
    for k, band in enumerate(bands):
        profile = band.profile(grid, 0.05, 300.0)
        finer = replace(band, expansion=half[k][0])
        for other, tolerance in ((finer, 5e-3), (others[k], 1e-3)):
            assert other.thermal_strength(300.0) == pytest.approx(strengths[k], rel=tolerance)
            curve = other.profile(grid, 0.05, 300.0)
            np.testing.assert_allclose(curve, profile, atol=2 * tolerance * profile.max())


def test_degenerate_states_are_told_and_left_alone(model: Surrogate) -> None:
    atoms = molecule("NH3")
    modes = normal_modes(atoms, xtb_calculator(0))
    energies = model.predict(atoms, 4).singlets.energies
    pair = int(np.diff(energies).argmin())
    assert np.diff(energies)[pair] < 1e-3
    plain = vibronic_bands(model, atoms, None, pair + 2, modes)
    bands = vibronic_bands(model, atoms, None, pair + 2, modes, herzberg_teller=True)
    names = f"S{pair + 1} and S{pair + 2} are degenerate"
    for k in (pair, pair + 1):
        assert bands[k].expansion is None
        assert bands[k].thermal_strength() == plain[k].strength
        assert bands[k].warnings[0].startswith(names)
    # The last state asked for is one of a pair, too, when its partner is not asked for.
    alone = vibronic_bands(model, atoms, None, pair + 1, modes, herzberg_teller=True)
    assert alone[pair].warnings[0].startswith(names)


def test_states_that_meet_are_told(model: Surrogate) -> None:
    """The two lowest nπ* states of pyrazine, ¹B₃u and ¹Aᵤ, which a b₃g mode couples."""
    atoms = esml.io.from_smiles("c1cnccn1").atoms
    modes = normal_modes(atoms, xtb_calculator(0))
    bands = vibronic_bands(model, atoms, None, 2, modes, herzberg_teller=True)
    for band, other in zip(bands, ("S2", "S1"), strict=True):
        (warning,) = band.warnings
        assert warning.startswith(f"{band.label} meets {other} along the mode at ")
        assert band.expansion is not None
        assert band.expansion.mixing.max() > 0.1


def test_two_approximations_are_told() -> None:
    """The closed shell of stretched F₂ stops being a minimum at 2.15 Å of the model of 0.1.0."""
    model = esml.load_model(SHIPPED, dtype=torch.float64)
    model.strategy = Strategy(saddle=2.0)
    atoms = Atoms("F2", [[0, 0, 0], [0, 0, 2.15]])
    way = np.array([[[0, 0, -0.25], [0, 0, 0.25]]])
    given = []
    for step in (0.1, -0.1):
        moved = Atoms("F2", atoms.positions + step * way[0])
        given.append(bool(np.any(model.predict(moved, 5).singlets.Y)))
    assert given == [False, True]
    modes = NormalModes(np.array([0.1]), way)
    expansions = dipole_expansions(model, atoms, modes, np.zeros((5, 2, 3)), step=0.1)
    alone = [doubts for expansion, doubts in expansions if expansion is not None]
    assert alone
    assert all(doubts[0] == UNLIKE for doubts in alone)
    # Where it is one at all displacements there is nothing to tell.
    near = Atoms("F2", [[0, 0, 0], [0, 0, 1.65]])
    for _, doubts in dipole_expansions(model, near, modes, np.zeros((5, 2, 3)), step=0.1):
        assert UNLIKE not in doubts


def test_overlaps_of_states(model: Surrogate) -> None:
    """Unity at one geometry; at another the signs of orbitals and their order do not matter."""
    atoms = molecule("H2CO")
    here = model.predict(atoms, 5).wavefunctions()
    np.testing.assert_allclose(overlaps(here, here), np.eye(5), atol=1e-4)
    o = here.n_occupied
    moved = np.r_[np.arange(o)[::-1], o + np.arange(len(here.coefficients) - o)[::-1]]
    other = replace(
        here,
        coefficients=-here.coefficients[:, moved],
        X=here.X[:, ::-1, ::-1],
        Y=here.Y[:, ::-1, ::-1],
    )
    np.testing.assert_allclose(overlaps(here, other), np.eye(5), atol=1e-4)
