"""Scripts of light and motion: measured bands and signs, trajectories that go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

import esml
from esml.analysis.normal_modes import normal_modes
from esml.dynamics import SurfaceHopping
from esml.io.geometry import xtb_calculator
from esml.units import HARTREE
from scripts.accuracy import measured_dichroism, surface_hopping, two_photon, vibronic


def test_the_progression_of_anthracene_is_the_measured_one() -> None:
    measured = vibronic.MEASURED["anthracene"]
    curve = vibronic.predicted(esml.load_model(), measured.smiles)
    energies, heights = vibronic.maxima(curve, 4)
    np.testing.assert_allclose(np.diff(energies), 0.175, atol=0.01)
    assert heights.argmax() == 1  # the 0-1 maximum is the highest, as measured
    rows = vibronic.rows("anthracene", measured, curve)
    assert rows[0][0] == "anthracene in cyclohexane"
    assert [row[5] for row in rows[1:4]] == ["0.185", "0.174", "0.181"]


def test_benzene_borrows_what_is_measured() -> None:
    """The first band within a third of the measured strength, by e2g modes; no line at 0-0."""
    curve, result = vibronic.forbidden(esml.load_model())
    first, second = vibronic.forbidden_rows(curve, result)
    assert (first[0], first[2], first[6]) == ("B2u", "0.0000", "no")
    assert float(str(first[3])) == pytest.approx(float(str(first[4])), rel=0.34)
    assert (second[0], second[6]) == ("B1u", "yes")
    lowest = curve.transitions[0]
    ((_, one), (_, other)) = lowest.promoting_modes(2)
    assert one == pytest.approx(other, rel=1e-2)  # a pair, as symmetric as relaxed
    lending = lowest.promoting_modes(1)[0][0] / 8065.544
    origins = lowest.zero_zero + np.array([0.0, lending, -lending])
    at_rest, origin, hot = lowest.profile(origins, 0.01)
    assert at_rest < 1e-3 * origin
    # Boltzmann's factor between one quantum lost and one gained.
    assert hot / origin == pytest.approx(np.exp(-lending / (8.617333e-5 * 298.15)), rel=0.02)


def test_extrema_keep_their_sign() -> None:
    energies = np.linspace(2.0, 6.0, 401)
    curve = np.exp(-(((energies - 3.0) / 0.2) ** 2)) - 2 * np.exp(-(((energies - 4.5) / 0.2) ** 2))
    curve *= 10.0
    found = measured_dichroism.nearest(energies, curve, 3.2)
    assert found == pytest.approx((3.0, 10.0), abs=1e-4)
    found = measured_dichroism.nearest(energies, curve, 4.2)
    assert found == pytest.approx((4.5, -20.0), abs=1e-4)


def test_bands_of_a_region_are_compared_in_turn() -> None:
    energies = np.linspace(2.0, 6.0, 401)
    bands = ((3.0, 10.0), (4.0, 20.0), (5.0, -30.0))
    curve = np.sum([h * np.exp(-(((energies - e) / 0.2) ** 2)) for e, h in bands], axis=0)
    region = measured_dichroism.Region(450.0, 260.0, (1, -1, 1))
    found, right = measured_dichroism.in_turn(energies, curve, region)
    assert [round(height) for _, height in found] == [10, 20]  # the third lies beyond the region
    assert right == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_an_axis_winds_as_told(sign: int) -> None:
    """Atoms 0 to 3 of a right-handed screw have a positive triple product of their bonds."""
    atoms = measured_dichroism.wound("Cc1ccccc1-c1c(C)cccc1", (1, 6, 7, 8), sign)
    first, axis, last = np.diff(atoms.positions[[1, 6, 7, 8]], axis=0)
    assert sign * np.dot(np.cross(first, axis), last) > 0


def test_helicene_climbs_to_the_right() -> None:
    helicene = measured_dichroism.hexahelicene()
    bonds = np.diff(helicene.positions[:7], axis=0)  # of the inner rim, along the helix
    for first, axis, last in zip(bonds[:-2], bonds[1:-1], bonds[2:], strict=True):
        assert np.dot(np.cross(first, axis), last) > 0  # a right-handed screw


def test_zero_point_motion() -> None:
    """Half of the zero-point energy is kinetic on average."""
    water = molecule("H2O")
    modes = normal_modes(water, xtb_calculator(0))
    kinetic = [
        surface_hopping.moving(water, modes, seed).get_kinetic_energy() for seed in range(2000)
    ]
    assert np.mean(kinetic) == pytest.approx(0.25 * modes.energies.sum(), rel=0.05)


def test_a_trajectory_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    model, atoms = esml.load_model(), molecule("H2CO")
    modes = normal_modes(atoms, xtb_calculator(0))

    def start() -> SurfaceHopping:
        return SurfaceHopping(model, surface_hopping.moving(atoms, modes, 3), 0, 2, timestep=0.25)

    whole = surface_hopping.follow(tmp_path / "whole", model, start(), 6)
    surface_hopping.follow(tmp_path / "parts", model, start(), 3)
    parts = surface_hopping.follow(tmp_path / "parts", model, start(), 6)
    assert [frame.time for frame in parts] == [0.25 * step for step in range(7)]
    np.testing.assert_allclose(
        [f.potential for f in parts], [f.potential for f in whole], atol=1e-4
    )
    assert surface_hopping.largest_change(whole, 4) < 1.0


def test_two_photon_label_is_that_of_another_program() -> None:
    """Water, HF/def2-SVPD: VeloxChem's own tests, test_tpatransition, have these strengths."""
    gto, scf = pytest.importorskip("pyscf.gto"), pytest.importorskip("pyscf.scf")
    water = "O 0 0 0; H .758602 0 -.504284; H .758602 0 .504284"
    mol = gto.M(atom=water, basis="def2-svpd", verbose=0)
    mean_field = scf.RHF(mol).run(conv_tol=1e-11)
    found = two_photon.Label.of(mean_field, 2)
    photons = found.energies / HARTREE / 2
    np.testing.assert_allclose(photons, [0.1656922537, 0.2119096339], rtol=1e-6)
    moments = np.array([found.moments(mean_field, state)[0] for state in range(2)])
    strengths = two_photon.strengths(found.energies, moments)
    np.testing.assert_allclose(strengths, [4.130284074, 15.83816511], rtol=1e-4)
