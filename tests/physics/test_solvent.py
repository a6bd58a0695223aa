"""The reaction field: exact limits, symmetry, gradients, and a continuum solved by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.build import molecule
from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.interaction import distances
from esml.physics.medium import Medium
from esml.physics.solvent import (
    DESCREENING,
    Solvent,
    born_radii,
    cavity_radii,
    reaction_field,
)
from esml.units import BOHR, COULOMB


def field(numbers: list[int], positions: Tensor, permittivity: float) -> Tensor:
    """G (K, K) of one molecule."""
    radii = cavity_radii(torch.tensor([numbers]))
    mask = torch.ones(radii.shape, dtype=torch.bool)
    separation = distances(positions[None])
    effective = born_radii(separation, radii, mask)
    return reaction_field(
        separation, effective, mask, torch.tensor([permittivity], dtype=torch.float64)
    )[0]


@pytest.mark.parametrize("permittivity", [1.78, 4.0, 78.4, 1e12])
def test_an_ion_gains_the_energy_of_born(permittivity: float) -> None:
    found = 0.5 * float(field([17], torch.zeros(1, 3).double(), permittivity)[0, 0])
    expected = -0.5 * (1.0 - 1.0 / permittivity) * COULOMB / (1.2 * 1.75)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("permittivity", [1.78, 20.0])
def test_distant_charges_are_screened_by_the_permittivity(permittivity: float) -> None:
    distance = 500.0
    positions = torch.tensor([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]]).double()
    together = COULOMB / distance + field([8, 7], positions, permittivity)[0, 1]
    assert float(together) == pytest.approx(COULOMB / distance / permittivity, rel=1e-4)


def test_no_solvent_has_no_field() -> None:
    water = molecule("H2O")
    positions = torch.from_numpy(water.positions)
    assert field(water.numbers.tolist(), positions, 1.0).abs().max() == 0.0


def test_radii_of_two_spheres_are_the_integral_over_the_cavity() -> None:
    apart = 1.9
    radii = cavity_radii(torch.tensor([[6, 8]]))
    own, other = float(radii[0, 0]), DESCREENING * float(radii[0, 1])
    mask = torch.ones(1, 2, dtype=torch.bool)
    positions = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, apart]]]).double()
    found = born_radii(distances(positions), radii, mask)[0, 0]

    # Points around the first atom, evenly in distance and in the cosine of the angle.
    edges = np.linspace(own, apart + other, 1001)
    r = 0.5 * (edges[1:] + edges[:-1])[:, None]
    cosine = (np.arange(1000) + 0.5)[None, :] / 500 - 1.0
    inside = r**2 + apart**2 - 2.0 * r * apart * cosine < other**2
    integral = 1.5 * float((inside / r**4).sum()) * (edges[1] - edges[0]) * 2.0 / 1000
    assert float(found) == pytest.approx(own * np.exp(own**3 * integral / 3.0), rel=1e-4)


def test_an_atom_inside_is_screened_more_than_one_outside() -> None:
    methane = molecule("CH4")
    radii = cavity_radii(torch.from_numpy(methane.numbers)[None])
    separation = distances(torch.from_numpy(methane.positions)[None])
    grown = born_radii(separation, radii, torch.ones(radii.shape, dtype=torch.bool)) / radii
    assert float(grown[0, 0]) > 1.0
    assert float(grown.min()) > 1.0
    # All four hydrogens are alike.
    assert float(grown[0, 1:].max() - grown[0, 1:].min()) < 1e-6


def test_rotation_and_order_of_atoms_do_not_matter() -> None:
    acid = molecule("HCOOH")
    numbers, positions = acid.numbers, torch.from_numpy(acid.positions)
    reference = field(numbers.tolist(), positions, 20.0)
    rng = np.random.default_rng(0)
    turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(3, 3)))[0])
    order = rng.permutation(len(acid))
    found = field(numbers[order].tolist(), (positions @ turn.T)[order], 20.0)
    torch.testing.assert_close(found, reference[order][:, order], rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    acid = molecule("HCOOH")
    charges = torch.linspace(-0.4, 0.5, len(acid)).double()
    positions = torch.from_numpy(acid.positions).requires_grad_()

    def energy(x: Tensor) -> Tensor:
        found: Tensor = charges @ field(acid.numbers.tolist(), x, 2.3) @ charges
        return found

    assert torch.autograd.gradcheck(energy, (positions,), atol=1e-6)


def test_padding_changes_nothing() -> None:
    small, large = molecule("H2O"), molecule("C6H6")
    numbers = torch.from_numpy(np.concatenate([small.numbers, large.numbers])).long()
    positions = torch.from_numpy(np.concatenate([small.positions, large.positions]))
    owner = torch.tensor([0] * len(small) + [1] * len(large))
    layout = OrbitalLayout.build(numbers, owner, torch.zeros(2, dtype=torch.int64))
    medium = Medium.of([Solvent(78.4, 1.333), None])
    assert medium is not None
    found = medium.reaction_field(distances(layout.pad_atoms(positions)), layout)
    assert found is not None
    alone = field(small.numbers.tolist(), torch.from_numpy(small.positions), 78.4)
    n = len(small)
    torch.testing.assert_close(found.static[0, :n, :n], alone, rtol=1e-12, atol=1e-12)
    assert found.static[1].abs().max() == 0.0
    assert found.optical[1].abs().max() == 0.0


def test_the_field_is_that_of_a_polarizable_continuum() -> None:
    """Energies of random charges on atoms are those of IEF-PCM within some percent."""
    pytest.importorskip("pyscf")
    from scripts.accuracy.reaction_field import continuum

    rng = np.random.default_rng(1)
    for name in ("CH3CHO", "C6H6"):
        atoms = molecule(name)
        charges = rng.normal(size=(len(atoms), 20))
        charges -= charges.mean(0)
        for permittivity, tolerance in ((1.78, 0.1), (20.5, 0.05)):
            ours = field(atoms.numbers.tolist(), torch.from_numpy(atoms.positions), permittivity)
            theirs = continuum(atoms, permittivity, points=50)
            energies = [
                np.einsum("is,ij,js->s", charges, g, charges) for g in (ours.numpy(), theirs)
            ]
            deviation = np.linalg.norm(energies[0] - energies[1]) / np.linalg.norm(energies[1])
            assert deviation < tolerance


def test_donors_come_nearer_to_oxygen_as_in_smd() -> None:
    """SMD's radius where it is the smaller one; nothing else of the cavity changes."""
    smd = pytest.importorskip("pyscf.solvent.smd")
    numbers = torch.tensor([[1, 6, 7, 8, 9, 16]])
    plain = cavity_radii(numbers)
    for acidity in (0.0, 0.15, 0.33, 0.37, 0.43, 0.82):
        found = cavity_radii(numbers, acidity)
        theirs = float(smd.smd_radii(acidity)[8]) * BOHR
        expected = plain.clone()
        expected[0, 3] = min(float(plain[0, 3]), theirs)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    each = cavity_radii(numbers.expand(2, -1), torch.tensor([0.0, 0.82]))
    assert each[:, 3].tolist() == pytest.approx([1.2 * 1.52, 1.52])


@pytest.mark.parametrize("acidity", [-0.1, float("nan"), float("inf")])
def test_impossible_acidities_are_refused(acidity: float) -> None:
    with pytest.raises(ValueError, match="hydrogen-bond acidity"):
        Solvent(24.9, 1.36, acidity=acidity)


@pytest.mark.parametrize("values", [(0.9, 1.3), (float("nan"), 1.3), (20.0, 0.5)])
def test_impossible_solvents_are_refused(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Solvent(*values)
