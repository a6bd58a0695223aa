"""What a state is: against textbook assignments, PySCF's point groups and limits known exactly."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import ase.build
import numpy as np
import pytest
from ase import Atoms
from surrogate_cases import kept, read_one

import esml
from esml.analysis.bonding import FragmentError, analyze, bond_orders, orbital_owner
from esml.analysis.characters import MissingWavefunctionsError, Wavefunctions, characterize
from esml.analysis.irreps import state_symmetries
from esml.analysis.point_group import point_group
from esml.results import Result

EXAMPLES = Path(__file__).parents[2] / "examples"


@cache
def predicted(name: str) -> Result:
    return esml.load_model().predict(read_one(EXAMPLES / f"{name}.xyz"), n_states=6)


@cache
def reference(name: str, kind: str = "singlet") -> Wavefunctions:
    """Orbitals and amplitudes of a reference calculation (PySCF, HF/6-31G), downfolded."""
    pytest.importorskip("pyscf")
    from reference_cases import QUICK, record

    found = record(name, QUICK)
    x = getattr(found, f"{kind}_x").astype(float)
    return Wavefunctions(
        atoms=Atoms(found.numbers, found.positions),
        coefficients=found.coefficients.astype(float),
        orbital_energies=found.energies.astype(float),
        n_occupied=int(found.n_occupied),
        energies=getattr(found, f"{kind}_energies").astype(float),
        X=x,
        Y=found.singlet_y.astype(float) if kind == "singlet" else np.zeros_like(x),
    )


# The shipped model


def test_azobenzene_has_an_n_pi_below_a_pi_pi_state() -> None:
    first, second = predicted("azobenzene").characters()[:2]
    assert (first.label, second.label) == ("nπ*", "ππ*")
    assert "N2" in first.where
    assert (first.symmetry.label, second.symmetry.label) == ("Bg", "Bu")


def test_the_bright_state_of_nitroaniline_moves_charge_from_amine_to_nitro() -> None:
    result = predicted("p-nitroaniline")
    bright = result.characters()[int(result.singlets.oscillator_strengths.argmax())]
    assert bright.label == "ππ*"
    assert bright.kind == "charge transfer"
    assert "NH2" in bright.donors
    assert bright.acceptors == ("NO2",)
    # Towards the nitro group, by an ångström and more.
    shift = (bright.electron - bright.hole) @ result.atoms.positions
    axis = result.atoms.positions[7] - result.atoms.positions[0]
    assert shift @ axis / np.linalg.norm(axis) > 1.0
    assert bright.centroid_distance == pytest.approx(np.linalg.norm(shift))


def test_the_bright_state_of_benzene_is_a_degenerate_pair() -> None:
    result = predicted("benzene")
    characters = result.characters()
    bright = int(result.singlets.oscillator_strengths.argmax())
    symmetry = characters[bright].symmetry
    assert (symmetry.group, symmetry.label, symmetry.degeneracy) == ("D6h", "E1u", 2)
    assert symmetry.text == "E1u (degenerate pair)"
    one, other = symmetry.partners
    energies = result.singlets.energies
    assert abs(energies[one] - energies[other]) < 0.02
    assert characters[one].label == characters[other].label == "ππ*"


# Reference amplitudes and textbook assignments


@pytest.mark.parametrize(
    ("name", "kind", "states"),
    [
        ("H2CO", "singlet", ["nπ*, A2", "nπ*, B1"]),
        ("H2CO", "triplet", ["nπ*, A2", "ππ*, A1"]),
        ("C2H4", "singlet", ["ππ*, B1u"]),
        ("C2H4", "triplet", ["ππ*, B1u"]),
        ("H2O", "singlet", ["nσ*, B1", "nσ*, A2"]),
        ("CH4", "triplet", ["σσ*, T2 (degenerate triple)"] * 3),
        ("NH3", "singlet", ["nσ*, A1", *["nσ*, E (degenerate pair)"] * 2]),
        ("CO2", "singlet", ["ππ*, Σu-", *["ππ*, Δu (degenerate pair)"] * 2]),
        ("C2H2", "triplet", ["ππ*, Σu+", *["ππ*, Δu (degenerate pair)"] * 2, "ππ*, Σu-"]),
        ("C3H4_D2d", "triplet", ["ππ*, A1", "ππ*, B2", "ππ*, B1", "ππ*, A2"]),
        ("HCOOH", "singlet", ["nπ*, on CHO, A''"]),
    ],
)
def test_reference_states_are_what_textbooks_say(name: str, kind: str, states: list[str]) -> None:
    found = characterize(reference(name, kind))
    assert [character.description for character in found[: len(states)]] == states


def test_a_set_cut_by_the_states_asked_for_says_so() -> None:
    states = reference("CH4", "triplet")
    cut = Wavefunctions(
        states.atoms,
        states.coefficients,
        states.orbital_energies,
        states.n_occupied,
        states.energies[:2],
        states.X[:2],
        states.Y[:2],
    )
    assert all("beyond" in character.symmetry.text for character in characterize(cut))


def test_twisting_breaks_the_label_but_not_the_character() -> None:
    atoms = ase.build.molecule("H2CO")
    atoms.positions[2] += (0.3, 0.2, 0.1)
    first = esml.load_model().predict(atoms, n_states=3).characters()[0]
    assert first.label == "nπ*"
    assert first.symmetry.text == ""


# Sums and invariance


@pytest.mark.parametrize("name", ["azobenzene", "p-nitroaniline", "benzene"])
def test_shares_sum_to_one(name: str) -> None:
    for kind in ("singlets", "triplets"):
        for character in predicted(name).characters(kind):
            assert sum(character.weights.values()) == pytest.approx(1.0)
            assert character.transfer.sum() == pytest.approx(1.0)
            assert character.hole.sum() == pytest.approx(1.0)
            assert character.electron.sum() == pytest.approx(1.0)
            assert 0.0 <= character.moved <= character.charge_transfer + 1e-9
            assert character.centroid_distance <= character.separation + 1e-9


def test_nothing_depends_on_orientation_or_on_axes_in_degenerate_orbitals() -> None:
    atoms = read_one(EXAMPLES / "benzene.xyz")
    model = esml.load_model()
    turned = atoms.copy()
    turned.rotate(77.0, (1.0, -2.0, 0.4))
    turned = turned[np.random.default_rng(3).permutation(len(turned))]
    for one, other in zip(
        predicted("benzene").characters(), model.predict(turned, 6).characters(), strict=True
    ):
        assert one.label == other.label
        assert one.symmetry.label == other.symmetry.label
        if one.symmetry.degeneracy == 1:
            assert one.participation == pytest.approx(other.participation, rel=1e-3)


def test_natural_orbitals_rebuild_the_transition_density() -> None:
    states = predicted("azobenzene").wavefunctions()
    for state in range(len(states)):
        natural = states.natural_orbitals(state)
        density = states.transition_density(state)
        assert natural.weights.sum() == pytest.approx(1.0)
        for k in range(3):
            # D e_k = √λ_k h_k, up to the signs chosen.
            image = density @ natural.electrons[:, k]
            overlap = abs(image @ natural.holes[:, k])
            assert overlap == pytest.approx(np.sqrt(natural.weights[k]), abs=1e-9)
        assert natural.participation == pytest.approx(
            predicted("azobenzene").characters()[state].participation
        )


def test_attachment_and_detachment_hold_one_electron_and_more() -> None:
    states = predicted("p-nitroaniline").wavefunctions()
    attachment, detachment = states.attachment_detachment(0)
    # XXᵀ + YYᵀ = 1 + 2 YᵀY for states normalized to XᵀX − YᵀY = 1.
    expected = 1.0 + 2.0 * np.square(states.Y[0]).sum()
    assert np.trace(attachment) == pytest.approx(expected)
    assert np.trace(detachment) == pytest.approx(expected)
    occupied = states.coefficients[:, : states.n_occupied]
    np.testing.assert_allclose(occupied.T @ attachment @ occupied, 0.0, atol=1e-12)


def test_the_transition_dipole_follows_from_amplitudes_and_operator() -> None:
    result = predicted("p-nitroaniline")
    states = result.wavefunctions()
    occupied, virtual = np.split(states.coefficients, [result.n_occupied], axis=1)
    moments = occupied.T @ kept(result.dipole_operator) @ virtual
    dipoles = np.sqrt(2.0) * np.einsum("sia,xia->sx", states.X + states.Y, moments)
    np.testing.assert_allclose(
        np.abs(dipoles), np.abs(result.singlets.transition_dipoles), atol=1e-6
    )


# Limits known exactly


def apart(distance: float) -> Wavefunctions:
    """Ethylene and formaldehyde ``distance`` Å apart: HOMO of one to LUMO of the other, and back
    to itself."""
    one, other = reference("C2H4"), reference("H2CO")
    n, m = len(one.coefficients), len(other.coefficients)
    i, j = one.n_occupied, other.n_occupied
    both = np.zeros((n + m, n + m))
    both[:n, :i] = one.coefficients[:, :i]
    both[n:, i : i + j] = other.coefficients[:, :j]
    both[:n, i + j : i + j + n - i] = one.coefficients[:, i:]
    both[n:, j + n :] = other.coefficients[:, j:]
    amplitudes = np.zeros((2, i + j, n + m - i - j))
    amplitudes[0, i - 1, n - i] = 1.0
    amplitudes[1, i - 1, 0] = 1.0
    first, second = one.atoms.copy(), other.atoms.copy()
    for atoms in (first, second):
        atoms.positions -= atoms.positions.mean(0)
    second.positions += (0.0, 0.0, distance)
    return Wavefunctions(
        first + second,
        both,
        np.zeros(n + m),
        i + j,
        np.array([5.0, 8.0]),
        amplitudes,
        np.zeros_like(amplitudes),
    )


def test_an_electron_that_jumps_between_molecules_is_charge_transfer() -> None:
    transfer, local = characterize(apart(12.0))
    assert transfer.charge_transfer == pytest.approx(1.0)
    assert transfer.moved == pytest.approx(1.0)
    assert (transfer.donors, transfer.acceptors) == (("C2H4",), ("CH2O",))
    # The centroids of π and π* of formaldehyde are off its centre by less than half a bond.
    assert transfer.centroid_distance == pytest.approx(12.0, abs=0.6)
    assert transfer.separation == pytest.approx(12.0, abs=0.6)
    assert local.charge_transfer == pytest.approx(0.0, abs=1e-12)
    assert (local.kind, local.where, local.label) == ("local", "C2H4", "ππ*")


def test_fragments_may_be_given() -> None:
    states = apart(12.0)
    n = len(states.atoms)
    whole = characterize(states, [list(range(n))])[0]
    assert whole.charge_transfer == pytest.approx(0.0, abs=1e-12)
    named = characterize(states, [[0, 1]])[0]
    assert len(named.fragments) == 2  # the rest makes one more
    for wrong, word in (([[0], [0, 1]], "two fragments"), ([[n]], f"atom {n}"), ([[]], "empty")):
        with pytest.raises(FragmentError, match=word):
            characterize(states, wrong)


def test_bond_orders_are_those_of_textbooks() -> None:
    for name, (a, b), expected in (
        ("C2H6", (0, 1), 1.0),
        ("C2H4", (0, 1), 2.0),
        ("C2H2", (0, 1), 3.0),
        ("N2", (0, 1), 3.0),
        ("H2CO", (0, 1), 2.0),
        ("CO2", (0, 1), 2.0),
    ):
        states = reference(name)
        occupied = states.coefficients[:, : states.n_occupied]
        orders = bond_orders(2.0 * occupied @ occupied.T, orbital_owner(states.atoms.numbers))
        assert orders[a, b] == pytest.approx(expected, abs=0.12), name


def test_lone_pairs_and_pi_directions_are_counted_right() -> None:
    for name, lone_pairs, pi in (
        ("H2O", 2, 0),
        ("NH3", 1, 0),
        ("CH4", 0, 0),
        ("H2CO", 2, 2),
        ("C2H2", 0, 4),
        ("HCN", 1, 4),
        ("CH3Cl", 3, 0),
        ("HCOOH", 3, 3),  # two on =O, one in the plane of OH, whose other one is conjugated
    ):
        states = reference(name)
        bonding = analyze(states.atoms, states.coefficients, states.n_occupied)
        assert round(np.trace(bonding.lone_pairs)) == lone_pairs, name
        assert round(np.trace(bonding.pi)) == pi, name
        np.testing.assert_allclose(bonding.pi @ bonding.lone_pairs, 0.0, atol=1e-12)


# Point groups


@pytest.mark.parametrize(
    "name",
    [
        "H2O",
        "NH3",
        "CH4",
        "C6H6",
        "C2H4",
        "C2H6",
        "H2CO",
        "C3H4_D2d",
        "C3H4_C3v",
        "SO2",
        "BF3",
        "H2O2",
        "cyclobutane",
        "CH3OH",
        "trans-butane",
        "C2Cl4",
        "C3H6_D3h",
        "CH3CHO",
    ],
)
def test_point_groups_agree_with_pyscf(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    symm = pytest.importorskip("pyscf.symm")
    # Its own tolerance of 1e-5 is finer than the last digit of these geometries.
    monkeypatch.setattr(symm.geom, "TOLERANCE", 1e-2)
    atoms = ase.build.molecule(name)
    atoms.rotate(50.0, (1.0, 0.3, -0.7))
    described: Any = list(zip(atoms.symbols, atoms.positions / 0.529177, strict=True))
    assert point_group(atoms).name == symm.detect_symm(described)[0]


def test_special_shapes_have_their_groups() -> None:
    octahedron = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [0, 0, 0]]
    assert point_group(Atoms("F6S", 1.56 * np.array(octahedron))).name == "Oh"
    assert point_group(ase.build.molecule("CO2")).name == "D∞h"
    assert point_group(ase.build.molecule("HCN")).name == "C∞v"
    assert point_group(Atoms("F")).name == "K"
    # No plane: two rings of four, each closed by the fourfold improper turn, at different angles.
    corners = [(1.0, 0.3, 0.8), (1.6, 1.0, 1.2)]
    s4 = [q for x, y, z in corners for q in ((x, y, z), (-y, x, -z), (-x, -y, z), (y, -x, -z))]
    assert point_group(Atoms("CF4H4", [(0.0, 0.0, 0.0), *s4])).name == "S4"


def test_accidental_neighbours_are_not_called_degenerate() -> None:
    states = reference("H2CO", "triplet")
    densities = np.stack([states.transition_density(k) for k in range(2)])
    found = state_symmetries(
        point_group(states.atoms),
        densities,
        np.array([4.0, 4.0]),
        orbital_owner(np.array([6, 8, 1, 1])),
    )
    assert [symmetry.degeneracy for symmetry in found] == [1, 1]


# Results without wave functions


def test_a_lean_result_says_how_to_get_wavefunctions() -> None:
    model = esml.load_model()
    atoms = ase.build.molecule("H2CO")
    (lean,) = model.predict_many([atoms], n_states=2)
    assert isinstance(lean, Result)
    with pytest.raises(MissingWavefunctionsError, match="wavefunctions=True"):
        lean.characters()
    (full,) = model.predict_many([atoms], n_states=2, wavefunctions=True)
    assert isinstance(full, Result)
    assert len(full.characters("triplets")) == 2
