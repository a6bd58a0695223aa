"""Rotatory strengths: gauges, origin, sum rule, mirror images, and coupled oscillators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation
from systems import MOLECULES, System, lay_out, random_system
from torch import Tensor

import esml
from esml.physics.excitations import Excitations, singlets
from esml.physics.optical_activity import (
    ROTATORY,
    angular_momentum,
    gradient_operator,
    one_centre,
    rotatory_strengths,
)
from esml.predict.surrogate import Surrogate
from esml.units import BOHR, HARTREE


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


def places(system: System, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(system.layout.numbers), 3, generator=generator, dtype=torch.float64)


def shifted(system: System, by: Tensor) -> System:
    """``system`` seen from another origin: r → r + ``by`` (3,) bohr."""
    eye = torch.diag_embed(system.layout.orbital_mask.double())
    moved = system.dipole_operator + by[None, :, None, None] * eye[:, None]
    return replace(system, dipole_operator=moved)


def rotatory(
    system: System, found: Excitations, positions: Tensor, gauge: str, minus: Tensor | None = None
) -> Tensor:
    return rotatory_strengths(
        system.response(),
        system.dipole_operator,
        positions,
        found.energies,
        found.X + found.Y,
        found.X - found.Y if minus is None else minus,
        gauge,  # type: ignore[arg-type]
    )


def test_both_gauges_agree_in_full_response() -> None:
    system = random_system(MOLECULES, seed=5)
    found = system.singlets()
    response = system.response()
    gradient = gradient_operator(response, system.dipole_operator)
    between = response.occupied.mT[:, None] @ gradient @ response.virtual[:, None]
    moments = 2**0.5 * (found.X - found.Y).flatten(2) @ between.flatten(2).mT
    expected = found.energies[:, :, None] / HARTREE * found.transition_dipoles
    assert torch.allclose(moments[found.mask], expected[found.mask], atol=1e-10)
    velocity, length = (rotatory(system, found, places(system), g) for g in ("velocity", "length"))
    assert velocity[found.mask].abs().max() > 10.0
    assert torch.allclose(velocity[found.mask], length[found.mask], atol=1e-9)


def test_operators_are_antisymmetric() -> None:
    system = random_system(MOLECULES, seed=6)
    gradient = gradient_operator(system.response(), system.dipole_operator)
    angular = angular_momentum(gradient, places(system), system.layout)
    for operator in (gradient, angular):
        assert torch.allclose(operator, -operator.mT, atol=1e-12)


def test_the_origin_does_not_matter() -> None:
    system = random_system(MOLECULES, seed=7)
    found, positions = system.singlets(), places(system)
    by = torch.tensor([1.0, -3.0, 5.0], dtype=torch.float64)
    moved = shifted(system, by)
    for gauge in ("velocity", "length"):
        here = rotatory(system, found, positions, gauge)
        there = rotatory(moved, found, positions + by * BOHR, gauge)
        assert torch.allclose(here[found.mask], there[found.mask], atol=1e-8)
    # Other amplitudes than those of full response: only the velocity gauge keeps it.
    minus = torch.randn_like(found.X)
    differences = [
        rotatory(system, found, positions, gauge, minus)
        - rotatory(moved, found, positions + by * BOHR, gauge, minus)
        for gauge in ("velocity", "length")
    ]
    assert differences[0][found.mask].abs().max() < 1e-8
    assert differences[1][found.mask].abs().max() > 1.0


def test_the_sum_over_all_states_vanishes() -> None:
    """Σ_n R_n = ½ Σ_k tr(P [r_k, (r×∇)_k]) = 0 for a position operator that is diagonal."""
    system = random_system(MOLECULES, seed=8)
    positions = places(system)
    layout = system.layout
    at = layout.pad_atoms(positions / BOHR)
    owner = layout.orbital_atom[:, :, None].expand(-1, -1, 3)
    diagonal = at.gather(1, owner) * layout.orbital_mask[:, :, None]
    system = replace(system, dipole_operator=torch.diag_embed(diagonal.movedim(2, 1)))
    found = singlets(system.response(), system.dipole_operator, positions=positions)
    strengths = torch.where(found.mask, found.rotatory_strengths, 0.0)
    assert strengths.abs().amax(1)[:2].min() > 10.0
    assert strengths.sum(1).abs().max() < 1e-8


def test_one_centre_angular_momentum() -> None:
    """The algebra of r×∇ within s and p: [Λ_x, Λ_y] = −Λ_z, Λ² = −l(l+1), [Λ_z, x] = −y."""
    x, y, z = one_centre(lay_out([[6]]))[0].double()
    assert torch.equal(x @ y - y @ x, -z)
    assert torch.equal(x @ x + y @ y + z @ z, torch.diag(torch.tensor([0.0, -2, -2, -2])).double())
    position = torch.zeros(3, 4, 4, dtype=torch.float64)
    for axis in range(3):
        position[axis, 0, 1 + axis] = position[axis, 1 + axis, 0] = 0.8
    assert torch.equal(z @ position[0] - position[0] @ z, -position[1])


def test_without_positions_there_are_none() -> None:
    found = random_system(MOLECULES[:1]).singlets(2)
    assert found.rotatory_strengths.isnan().all()
    assert (random_system(MOLECULES[:1]).triplets(2).rotatory_strengths == 0.0).all()


def chiral() -> Atoms:
    atoms: Atoms = molecule("CH3CHO")
    atoms.rattle(0.1, seed=2)
    return atoms


def strengths(model: Surrogate, atoms: Atoms) -> np.ndarray:
    return model.predict(atoms, n_states=6, n_triplets=1).singlets.rotatory_strengths


def test_mirror_images_are_opposite_and_rotations_alike(model: Surrogate) -> None:
    atoms = chiral()
    found = strengths(model, atoms)
    assert np.abs(found).max() > 1.0
    mirrored, turned = atoms.copy(), atoms.copy()
    mirrored.positions *= [1.0, 1.0, -1.0]
    np.testing.assert_allclose(strengths(model, mirrored), -found, atol=1e-8)
    turned.positions = Rotation.random(random_state=1).apply(atoms.positions) + 5.0
    np.testing.assert_allclose(strengths(model, turned), found, atol=1e-8)


@pytest.mark.parametrize("name", ["H2CO", "CH3CHO", "H2O"])
def test_achiral_molecules_have_none(model: Surrogate, name: str) -> None:
    assert np.abs(strengths(model, molecule(name))).max() < 1e-10 * ROTATORY


def test_two_chromophores_couple_like_oscillators(model: Surrogate) -> None:
    """Exciton chirality: R± = ±¼ ω (R_A − R_B)·(r_A × r_B) for two equal, distant chromophores."""
    first = molecule("C2H4")
    second = first.copy()
    second.rotate(70, "x")
    second.positions[:, 0] += 7.0
    single = model.predict(first, n_states=1, n_triplets=1).singlets
    moment = single.transition_dipoles[0]
    assert single.oscillator_strengths[0] > 0.3
    other = Rotation.from_euler("x", 70, degrees=True).apply(moment)
    both = model.predict(first + second, n_states=4, n_triplets=1).singlets
    pair = both[both.oscillator_strengths > 0.1]
    assert len(pair) == 2
    # In phase: the state whose moment is the sum.
    total = np.abs(pair.transition_dipoles @ (moment + other)) / np.linalg.norm(moment + other)
    in_phase, out_of_phase = (1, 0) if total[1] > total[0] else (0, 1)
    away = np.array([-7.0, 0.0, 0.0]) / BOHR
    expected = ROTATORY / 4 * single.energies[0] / HARTREE * away @ np.cross(moment, other)
    assert abs(expected) > 50.0
    assert pair.rotatory_strengths[in_phase] == pytest.approx(expected, rel=0.1)
    assert pair.rotatory_strengths[out_of_phase] == pytest.approx(-expected, rel=0.1)
