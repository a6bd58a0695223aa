"""Means over zero-point and thermal motion: against second derivatives, and exact limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.optimize import BFGS

pytest.importorskip("tblite")

import esml
from esml.analysis.normal_modes import NormalModes, normal_modes
from esml.analysis.spectrum import WAVENUMBERS
from esml.io.geometry import xtb_calculator
from esml.physics import Strategy
from esml.predict.surrogate import Surrogate
from esml.predict.vibrational_averages import (
    STIFF,
    AverageError,
    VibrationalAverages,
    thermal_displacements,
    vibrational_averages,
)
from esml.predict.vibronic import vibrational_shift, vibronic_bands

OLDER = Path(__file__).parents[1] / "data" / "version-0.1.0.safetensors"


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


@pytest.fixture(scope="module")
def aldehyde() -> tuple[Atoms, NormalModes]:
    """Formaldehyde at a minimum of GFN2-xTB, so that it has six modes."""
    atoms = molecule("H2CO")
    atoms.calc = xtb_calculator(0)
    with BFGS(atoms, logfile=None) as optimizer:
        optimizer.run(fmax=0.01)
    modes = normal_modes(atoms, atoms.calc)
    atoms.calc = None
    return atoms, modes


def scaled(modes: NormalModes, factor: float) -> NormalModes:
    """The same modes with ``factor`` times the amplitude."""
    return replace(modes, displacements=factor * modes.displacements)


def test_displacements_have_the_thermal_variance(aldehyde: tuple[Atoms, NormalModes]) -> None:
    """⟨q_k²⟩ = n_k + ½, projected back onto the modes; soft modes rest."""
    _, modes = aldehyde
    modes = replace(modes, energies=np.append(100.0 / WAVENUMBERS, modes.energies[1:]))
    stiff = modes.energies * WAVENUMBERS > STIFF
    assert not stiff[0]
    assert stiff.sum() == 5
    temperature = 600.0
    found = thermal_displacements(modes, 4000, temperature)
    flat = modes.displacements.reshape(len(modes.energies), -1)
    coordinates = found.reshape(4000, -1) @ np.linalg.pinv(flat)
    occupied = 1.0 / np.expm1(modes.energies / (units.kB * temperature))
    expected = (occupied + 0.5) * stiff
    np.testing.assert_allclose((coordinates**2).mean(0), expected, rtol=0.1, atol=1e-12)
    np.testing.assert_array_equal(found, thermal_displacements(modes, 4000, temperature))


def test_small_amplitudes_give_the_second_derivatives(
    model: Surrogate, aldehyde: tuple[Atoms, NormalModes]
) -> None:
    """½ Σ (n + ½) ∂²ω/∂q² of S1, from differences along each mode, within three errors."""
    atoms, modes = aldehyde
    small = scaled(modes, 0.3)

    def energy(moved: np.ndarray) -> float:
        other = Atoms(atoms.numbers, atoms.positions + moved)
        return float(model.predict(other, 1, n_triplets=1).singlets.energies[0])

    step, rest, expected = 0.5, energy(np.zeros_like(atoms.positions)), 0.0
    for quantum, way in zip(small.energies, small.displacements, strict=True):
        if quantum * WAVENUMBERS < STIFF:
            continue
        curvature = (energy(step * way) + energy(-step * way) - 2.0 * rest) / step**2
        expected += 0.5 * curvature * 0.5 / np.tanh(quantum / (2.0 * units.kB * 298.15))
    found = vibrational_averages(model, atoms, small, 1, pairs=60)
    assert expected < -0.003
    assert found.errors[0] < 0.35 * abs(expected)
    assert found.shifts[0] == pytest.approx(expected, abs=3.0 * float(found.errors[0]))
    assert found.overlaps[0] > 0.95


def test_no_motion_no_shift(model: Surrogate, aldehyde: tuple[Atoms, NormalModes]) -> None:
    atoms, modes = aldehyde
    found = vibrational_averages(model, atoms, scaled(modes, 0.0), 2, pairs=3)
    np.testing.assert_allclose(found.shifts, 0.0, atol=2e-5)
    np.testing.assert_allclose(found.overlaps, 1.0, atol=1e-3)


def test_bands_count_from_the_mean(model: Surrogate, aldehyde: tuple[Atoms, NormalModes]) -> None:
    atoms, modes = aldehyde
    (rest,) = vibronic_bands(model, atoms, None, 1, modes)
    (band,) = vibronic_bands(model, atoms, None, 1, modes, averaged=True)
    shift = vibrational_averages(model, atoms, modes, 1).shifts[0]
    assert band.averaging == pytest.approx(shift)
    assert band.zero_zero - rest.zero_zero == pytest.approx(shift)
    energies = np.linspace(2.0, 14.0, 4001)
    profile = band.profile(energies)
    mean = (profile * energies).sum() / profile.sum()
    assert mean == pytest.approx(band.vertical + band.averaging, abs=2e-3)


def test_the_shift_of_a_maximum(model: Surrogate) -> None:
    """Of the state with the band: mean, then from the mean to the maximum."""
    atoms = molecule("C4H4NH")  # pyrrole, its band far above 180 nm
    modes = normal_modes(atoms, xtb_calculator(0))
    shift = vibrational_shift(model, atoms, modes)
    assert shift is not None
    assert -0.6 < shift.energy < 0.0
    still = vibrational_shift(model, atoms, scaled(modes, 0.0))
    assert still is not None
    assert still.energy == pytest.approx(0.0, abs=2e-3)
    assert vibrational_shift(model, molecule("CH4"), modes) is None  # no band


def test_doubts_are_told() -> None:
    found = VibrationalAverages(np.zeros(2), np.array([0.01, 0.08]), np.array([0.9, 0.4]), 12)
    assert found.doubts(0, "S1") == ()
    mixed, unsure = found.doubts(1, "S2")
    assert "S2 mixes" in mixed
    assert "0.08 eV only" in unsure


def test_two_approximations_are_told() -> None:
    """The closed shell of stretched F₂ stops being a minimum at 2.15 Å of the model of 0.1.0."""
    model = esml.load_model(OLDER)
    model.strategy = Strategy(saddle=2.0)
    modes = NormalModes(np.array([0.1]), np.array([[[0, 0, -0.1], [0, 0, 0.1]]]))
    near, far = (
        vibrational_averages(model, Atoms("F2", [[0, 0, 0], [0, 0, distance]]), modes, 1, pairs=4)
        for distance in (1.65, 2.15)
    )
    assert near.unlike == 0.0
    assert 0.0 < far.unlike < 1.0
    assert f"{far.unlike:.0%} of the geometries displaced" in far.doubts(0, "S1")[0]


def test_what_cannot_be_averaged_is_said(
    model: Surrogate, aldehyde: tuple[Atoms, NormalModes]
) -> None:
    atoms, modes = aldehyde
    with pytest.raises(ValueError, match="at least 2"):
        vibrational_averages(model, atoms, modes, 1, pairs=1)
    with pytest.raises(AverageError, match="have no prediction"):
        vibrational_averages(model, atoms, scaled(modes, 40.0), 1, pairs=4)
