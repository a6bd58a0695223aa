"""Paths between special points: where each name is, and what a break does."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.cell import Cell

from esml.physics.crystals.k_path import k_path

ORTHORHOMBIC = Cell.new([6.1, 6.5, 7.7])  # as of γ-Li3PS4; its usual path has three breaks


@pytest.mark.parametrize("n_points", [4, 17, 120])
def test_every_name_is_on_the_row_of_its_point(n_points: int) -> None:
    """Also at breaks, where two points are equally far along the path."""
    found = k_path(ORTHORHOMBIC, None, n_points)
    points = ORTHORHOMBIC.bandpath().special_points
    assert found.path == "GXSYGZURTZ,YT,UX,SR"
    assert "".join(name for _, name in found.labels) == found.path.replace(",", "")
    for row, name in found.labels:
        np.testing.assert_array_equal(found.k_points[row], points[name])


@pytest.mark.parametrize("n_points", [4, 17, 120])
def test_distances_are_those_between_points_and_none_at_a_break(n_points: int) -> None:
    """Γ–X, X–S, S–Y and so on are half a reciprocal lattice vector long: π/a, π/b or π/c."""
    found = k_path(ORTHORHOMBIC, None, n_points)
    x, y, z = np.pi / ORTHORHOMBIC.lengths()
    lines = [x, y, x, y, z, x, y, x, y, 0.0, z, 0.0, z, 0.0, z]
    at = found.distances[[row for row, _ in found.labels]]
    np.testing.assert_allclose(np.diff(at), lines, atol=1e-12)


@pytest.mark.parametrize(
    "path", ["Γ-X-W-K,U-L", "G X W K , U L", "Γ–X–W–K|U–L", "Γ → X → W → K | U → L", "GXWK,UL"]
)
def test_a_path_may_be_written_as_in_pictures(path: str) -> None:
    found = k_path(bulk("Cu", "fcc", a=3.6).cell, path, 20)
    assert found.path == "GXWK,UL"
    assert [name for _, name in found.labels] == list("GXWKUL")


@pytest.mark.parametrize("path", ["GQ", "GG", "G", "GX,X"])
def test_what_is_no_path_is_told(path: str) -> None:
    with pytest.raises(ValueError, match="special points among GKLUWX, such as GX"):
        k_path(bulk("Cu", "fcc", a=3.6).cell, path)


def test_a_path_has_two_points() -> None:
    with pytest.raises(ValueError, match="expected at least two along a path"):
        k_path(ORTHORHOMBIC, None, 1)
