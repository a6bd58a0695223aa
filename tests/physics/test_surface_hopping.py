"""Fewest switches: Landau–Zener, conserved norms and energies, detailed accounts."""

from __future__ import annotations

import numpy as np
import pytest

from esml.physics.surface_hopping import (
    HBAR,
    KINETIC,
    decohered,
    hop_target,
    propagated,
    rescaled,
)


def test_constants() -> None:
    assert pytest.approx(0.6582119569, rel=1e-8) == HBAR  # eV fs, CODATA
    assert pytest.approx(103.642697, rel=1e-6) == KINETIC


@pytest.mark.parametrize("speed", [0.02, 0.1])
def test_landau_zener(speed: float) -> None:
    """Through a crossing ±½αt with coupling V a share exp(−2πV²/ħα) stays on its diabat."""
    v, step = 0.05, 2.0
    times = np.arange(-400.0, 400.0 + step, step)
    half = 0.5 * speed * times
    gap = 2.0 * np.sqrt(half**2 + v**2)
    # ⟨1|∂_t 2⟩ = ½ ∂_t arctan(V / ½αt)
    tau = 0.5 * (-v * 0.5 * speed) / (half**2 + v**2)
    c = np.array([1.0, 0.0], dtype=complex)
    flowed = 0.0
    for k in range(len(times) - 1):
        ends = slice(k, k + 2)
        energies = np.stack([-0.5 * gap[ends], 0.5 * gap[ends]], 1)
        couplings = tau[ends, None, None] * np.array([[0.0, 1.0], [-1.0, 0.0]])
        c, flow = propagated(c, energies, couplings, step)
        flowed += flow[0, 1]
    expected = np.exp(-2 * np.pi * v**2 / (HBAR * speed))
    assert abs(c[1]) ** 2 == pytest.approx(expected, abs=0.02)
    assert np.linalg.norm(c) == pytest.approx(1.0, abs=1e-10)
    assert flowed == pytest.approx(abs(c[1]) ** 2, abs=1e-3)


def test_hops_pay_along_the_coupling() -> None:
    rng = np.random.default_rng(0)
    masses, velocities = rng.uniform(1, 16, 5), rng.normal(size=(5, 3)) * 0.02
    direction = rng.normal(size=(5, 3))

    def kinetic(v: np.ndarray) -> float:
        return float(0.5 * KINETIC * (masses[:, None] * v**2).sum())

    for cost in (-0.3, 0.01):
        after = rescaled(velocities, masses, direction, cost)
        assert after is not None
        assert kinetic(velocities) - kinetic(after) == pytest.approx(cost, abs=1e-9)
        change = (after - velocities) * masses[:, None]
        assert np.linalg.matrix_rank(np.stack([change.ravel(), direction.ravel()]), tol=1e-8) == 1
    assert rescaled(velocities, masses, direction, 10.0) is None
    small = rescaled(velocities, masses, direction, 1e-9)
    assert small is not None
    np.testing.assert_allclose(small, velocities, atol=1e-7)


def test_probabilities_and_decay() -> None:
    flow = np.array([[0.0, 0.2, -0.1], [-0.2, 0.0, 0.0], [0.1, 0.0, 0.0]])
    assert hop_target(0, 0.5, flow, 0.39) == 1
    assert hop_target(0, 0.5, flow, 0.41) == 0
    assert hop_target(1, 0.5, flow, 0.0) == 1  # population flows to it
    c = np.array([0.6, 0.8j])
    later = decohered(c, 1, np.array([3.0, 4.0]), 1.0, 0.5)
    assert np.linalg.norm(later) == pytest.approx(1.0)
    rate = 1.0 / HBAR / (1 + 2.7211386)
    assert abs(later[0]) == pytest.approx(0.6 * np.exp(-rate * 0.5), rel=1e-6)
    assert np.angle(later[1]) == pytest.approx(np.angle(c[1]))
