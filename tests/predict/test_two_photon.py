"""Two-photon absorption of molecules: parity, rotation, origin, two levels, units."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation
from surrogate_cases import ALL, distorted, formate

import esml
from esml.analysis.two_photon import GOEPPERT_MAYER, TwoPhotonAbsorption, resonant
from esml.export import open_writer, read_results
from esml.physics.medium import Medium
from esml.physics.solvers.driven import Driven, driven
from esml.physics.two_photon import contracted, position, two_photon_moments
from esml.predict.dipoles import relaxed_dipoles
from esml.predict.surrogate import Surrogate
from esml.predict.two_photon import two_photon, with_two_photon
from esml.results import Result
from esml.units import BOHR, DEBYE, HARTREE

HALVES = {
    # One half of a planar molecule with a centre of inversion; Å.
    "butadiene": (
        "CCHHH",
        [(0.608, 0.400), (0.608, 1.742), (1.557, -0.132), (1.518, 2.324), (-0.329, 2.290)],
    ),
    "stilbene": (
        "CCCCCCCHHHHHH",
        [
            (-2.761, 1.278), (-4.144, 1.110), (-4.694, -0.170), (-3.863, -1.281),
            (-2.480, -1.113), (-1.913, 0.168), (-0.467, 0.390), (-2.351, 2.285),
            (-4.790, 1.979), (-5.770, -0.301), (-4.291, -2.280), (-1.853, -1.994),
            (-0.185, 1.250),
        ],
    ),
}  # fmt: skip

NITROANILINE = """
C 1.189 -1.214 0; C -0.190 -1.211 0; C -0.872 0.000 0; C -0.190 1.211 0; C 1.189 1.214 0;
C 1.905 0.000 0; N -2.321 0.000 0; O -2.886 -1.083 0; O -2.886 1.083 0; N 3.267 0.000 0;
H 1.727 -2.156 0; H -0.745 -2.139 0; H -0.745 2.139 0; H 1.727 2.156 0; H 3.766 -0.871 0;
H 3.766 0.871 0
"""

ACROLEIN = """
C 1.222 0.037 -0.055;
C 0.024 -0.364 0.383;
C -1.223 0.195 -0.190;
O -2.345 -0.134 0.172;
H 1.319 0.782 -0.841;
H 2.136 -0.372 0.364;
H -0.084 -1.105 1.165;
H -1.063 0.945 -0.982
"""


def read(lines: str) -> Atoms:
    """Atoms of symbols and places, Å, with semicolons between."""
    rows = [row.split() for row in lines.split(";")]
    return Atoms([row[0] for row in rows], [[float(x) for x in row[1:]] for row in rows])


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


def whole(name: str) -> Atoms:
    symbols, half = HALVES[name]
    flat = np.pad(np.array(half), ((0, 0), (0, 1)))
    return Atoms(2 * symbols, np.concatenate([flat, -flat]))


@pytest.mark.parametrize("name", HALVES)
def test_one_or_two_photons_but_not_both(model: Surrogate, name: str) -> None:
    """Where there is a centre of inversion, a state is reached by odd or by even numbers."""
    atoms = whole(name)
    one = model.predict(atoms, 8, n_triplets=1).singlets.oscillator_strengths
    two = two_photon(model, atoms, 8).strengths
    assert one.max() > 0.1
    assert two.max() > 100.0
    assert two[one > 1e-6].max() < 1e-8
    assert one[two > 1e-3].max() < 1e-8


@pytest.mark.parametrize("make", [lambda: distorted("CH3CHO"), formate], ids=["neutral", "ion"])
def test_places_and_directions_do_not_matter(model: Surrogate, make) -> None:  # type: ignore[no-untyped-def]
    atoms = make()
    here = two_photon(model, atoms, 5)
    q = Rotation.random(random_state=3).as_matrix()
    away = atoms.copy()
    away.positions = atoms.positions @ q.T + np.array([11.0, -7.0, 3.0])
    there = two_photon(model, away, 5)
    scale = np.abs(here.moments).max((1, 2))
    turned = q @ here.moments @ q.T
    signs = np.sign((turned * there.moments).sum((1, 2)))[:, None, None]
    assert scale.max() > 1.0
    np.testing.assert_allclose(signs * there.moments, turned, atol=1e-6 * scale.max())
    np.testing.assert_allclose(there.strengths, here.strengths, rtol=1e-5)
    np.testing.assert_allclose(there.circular_strengths, here.circular_strengths, rtol=1e-5)


def test_charge_transfer_has_two_levels(model: Surrogate) -> None:
    """S ≈ 2 ⟨0|r|f⟩ Δr / (ω_f/2) along the axis of p-nitroaniline, with its sign."""
    atoms = read(NITROANILINE)
    with torch.no_grad():
        solution = model(model.graph([atoms]), 5, n_triplets=1)
    singlets = solution.singlets
    state = int(singlets.oscillator_strengths[0, :4].argmax())
    dipole = float(singlets.transition_dipoles[0, state, 0])
    omega = float(singlets.energies[0, state]) / HARTREE
    changed = -relaxed_dipoles(model, atoms, 5).changes[state, 0] / DEBYE  # of r, not of e·r
    two_levels = 2.0 * dipole * changed / (0.5 * omega)
    moments = two_photon_moments(solution.response, solution.operators.dipole, singlets)[state]
    assert abs(dipole) > 1.0
    assert 0.6 < float(moments[0, 0]) / two_levels < 1.4
    assert float((moments.square().sum() - moments[0, 0] ** 2).sqrt()) < 0.2 * abs(two_levels)
    found = two_photon(model, atoms, 5)
    assert found.strengths.argmax() == state
    assert 500 < found.strengths[state] < 10_000
    # What relaxes holds charge back: bare elements between states give more.
    bare = two_photon_moments(
        solution.response, solution.operators.dipole, singlets, relaxed=False
    )[state]
    assert abs(float(bare[0, 0])) > 1.2 * abs(float(moments[0, 0]))


def test_the_model_in_a_static_field(model: Surrogate) -> None:
    """ππ* of acrolein: photons of ω_f and of nothing, against transition dipoles in a field.

    The mean field that answers to a static field is not the kernel that answers to light, so they
    agree to a quarter, but far better than elements between states that nothing follows.
    """
    atoms, place = read(ACROLEIN), 1
    with torch.no_grad():
        whole = model(model.graph([atoms]), ALL, n_triplets=1)
    response, r, every = whole.response, whole.operators.dipole, whole.singlets
    energies, X, Y = every.energies[0], every.X[0], every.Y[0]
    perturbation = HARTREE * position(response, r)
    # At ω_f: the sum over all states but the state itself.
    moments = (X + Y).flatten(1) @ perturbation.flatten(1).mT
    near, far = 1.0 / (energies - energies[place]), 1.0 / (energies + energies[place])
    near[place] = 0.0

    def mixed(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        weights = (near[:, None] * moments, far[:, None] * moments)
        parts = zip((first, second), weights, strict=True)
        terms = [torch.einsum("kov,ka->aov", *part) for part in parts]
        return -(terms[0] + terms[1])[None]

    at_f = Driven(mixed(X, Y), mixed(Y, X))
    still = driven(response, perturbation, energies.new_zeros(1))
    state = X[place][None], Y[place][None]
    relaxed, bare = (
        contracted(response, r, *state, at_f, still, each)[0].numpy() for each in (True, False)
    )
    step, numeric = 5e-4, np.zeros((3, 3))  # atomic units
    dipole = every.transition_dipoles[0, place].numpy()
    for axis in range(3):
        for sign in (1.0, -1.0):
            field = torch.zeros(1, 3, dtype=torch.float64)
            field[0, axis] = sign * step * HARTREE / BOHR
            with torch.no_grad():
                found = model(
                    model.graph([atoms]), 6, n_triplets=1, medium=Medium((None,), (None,), field)
                )
            dipoles = found.singlets.transition_dipoles[0].numpy()
            same = dipoles[np.abs(dipoles @ dipole).argmax()]
            numeric[:, axis] -= sign * same * np.sign(same @ dipole) / (2 * step)
    error, bare_error = (np.linalg.norm(x - numeric) for x in (relaxed, bare))
    assert error < 0.25 * np.linalg.norm(numeric)
    assert error < 0.5 * bare_error


def test_averages_over_all_directions() -> None:
    """δ is the mean of |e·S·e|² over directions, of real e or of e = (x + iy)/√2."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=(3, 3))
    one = one + one.T
    found = TwoPhotonAbsorption(np.array([5.0]), one[None])
    turns = Rotation.random(200_000, random_state=1).as_matrix()
    linear = np.einsum("na,ab,nb->n", turns[:, 0], one, turns[:, 0]) ** 2
    e = (turns[:, 0] + 1j * turns[:, 1]) / 2**0.5
    circular = np.abs(np.einsum("na,ab,nb->n", e, one, e)) ** 2
    assert found.strengths[0] == pytest.approx(linear.mean(), rel=1e-2)
    assert found.circular_strengths[0] == pytest.approx(circular.mean(), rel=1e-2)


def test_cross_sections_in_goeppert_mayer() -> None:
    """1 a.u. is 1.896788 GM; a Lorentzian of half width Γ is 1/(πΓ) high."""
    assert pytest.approx(1.896788, rel=1e-5) == GOEPPERT_MAYER
    moment = np.zeros((1, 3, 3))
    moment[0, 2, 2] = 10.0
    found = TwoPhotonAbsorption(np.array([4.0]), moment)
    # Photons absorbed by a beam of E = E₀ cos ωt: 2 · 2π |E₀²S/8|² g(2ω), averaged, over flux².
    photon, half_width = 2.0 / HARTREE, 0.1 / HARTREE
    flux = 1.0 / (8.0 * np.pi * 7.2973525643e-3 * photon)  # of E₀ = 1
    mean = 10.0**2 / 5.0  # cos⁴
    rate = 2.0 * 2.0 * np.pi * mean / 64.0 / (np.pi * half_width)
    assert found.cross_sections()[0] == pytest.approx(rate / flux**2 * GOEPPERT_MAYER)
    assert found.cross_sections(0.2)[0] == pytest.approx(0.5 * found.cross_sections()[0])
    assert found.wavelengths[0] == pytest.approx(619.92, abs=0.01)
    with pytest.raises(ValueError, match="width is 0"):
        found.cross_sections(0.0)


def test_what_is_there_and_what_is_not(model: Surrogate) -> None:
    water = molecule("H2O")
    found = two_photon(model, water, 100)
    predicted = model.predict(water, 100)
    np.testing.assert_allclose(found.energies, predicted.singlets.energies, atol=1e-9)
    assert found.moments.shape == (len(predicted.singlets), 3, 3)
    wet = two_photon(model, water, 2, solvent="water")
    np.testing.assert_allclose(
        wet.energies, model.predict(water, 2, solvent="water").singlets.energies, atol=1e-9
    )
    assert abs(wet.strengths[0] / found.strengths[0] - 1.0) > 1e-3
    with pytest.raises(ValueError, match="n_states is 0"):
        two_photon(model, water, 0)


def check_filled(result: Result, found: TwoPhotonAbsorption) -> None:
    """That ``result`` has the numbers of ``found``."""
    singlets = result.singlets
    np.testing.assert_allclose(singlets.two_photon_strengths, found.strengths, rtol=1e-9)
    np.testing.assert_allclose(
        singlets.two_photon_circular_strengths, found.circular_strengths, rtol=1e-9
    )
    np.testing.assert_allclose(
        singlets.two_photon_cross_sections, found.cross_sections(), rtol=1e-9
    )


def test_a_result_is_filled_with_the_strengths(model: Surrogate) -> None:
    """In vacuum and where the molecule is; all else of the result stays."""
    atoms = distorted("CH3CHO")
    charges = esml.PointCharges([0.5], [[0.0, 0.0, 5.0]])
    seen = []
    for solvent, around in (("vacuum", None), ("water", None), (None, charges)):
        result = model.predict(atoms, 4, solvent=solvent, point_charges=around)
        filled = with_two_photon(model, result)
        found = two_photon(model, atoms, 4, solvent=solvent, point_charges=around)
        check_filled(filled, found)
        seen.append(found.strengths[0])
        unknown: dict[str, Any] = {name: np.full(4, np.nan) for name in filled.singlets.extras}
        nothing = replace(filled.singlets, **unknown)
        assert replace(filled, singlets=nothing, warnings=result.warnings) == result
    assert np.ptp(seen) > 1e-3 * max(seen)


def test_results_of_lists_and_files_are_filled(model: Surrogate, tmp_path: Path) -> None:
    solvents = ("water", "vacuum")
    molecules = [molecule("H2CO"), distorted("CH3CHO")]
    results = list(model.predict_many(molecules, 3, solvent=solvents))
    with open_writer(tmp_path / "a.h5", 3) as writer:
        for result in results:
            writer.add(result)
    stored = read_results(tmp_path / "a.h5")
    for atoms, solvent, result, read in zip(molecules, solvents, results, stored, strict=True):
        assert isinstance(result, Result)
        found = two_photon(model, atoms, 3, solvent=solvent)
        assert found.strengths.max() > 1.0
        for given in (result, read):
            filled = with_two_photon(model, given).singlets
            # Energies of a batch differ in the last digits.
            np.testing.assert_allclose(filled.two_photon_strengths, found.strengths, rtol=1e-5)


def test_a_result_of_another_model_is_refused(model: Surrogate) -> None:
    atoms = molecule("H2CO")
    other = esml.load_model("camb3lyp").predict(atoms, 3)
    with pytest.raises(ValueError, match="not those of this model: expected a result of the"):
        with_two_photon(model, other)
    result = model.predict(atoms, 3)
    with pytest.raises(ValueError, match="with all its singlets from S1 on"):
        with_two_photon(model, replace(result, singlets=result.singlets[1:]))
    none = replace(result, singlets=result.singlets[:0])
    assert with_two_photon(model, none) == none


def test_the_selection_rule_is_in_every_file(model: Surrogate, tmp_path: Path) -> None:
    """What one photon reaches has no strength for two, as the files tell it."""
    result = with_two_photon(model, model.predict(whole("butadiene"), 6, n_triplets=1))
    for name in ("a.h5", "a.json", "a.csv"):
        with open_writer(tmp_path / name, 6, extras=result.singlets.extras) as writer:
            writer.add(result)
    (stored,) = read_results(tmp_path / "a.h5")
    (entry,) = json.loads((tmp_path / "a.json").read_text())["results"]
    head, line = (row.split(",") for row in (tmp_path / "a.csv").read_text().splitlines()[:2])
    cells = dict(zip(head, line, strict=False))
    tables = [
        (stored.singlets.oscillator_strengths, stored.singlets.two_photon_strengths),
        (entry["singlets"]["oscillator_strengths"], entry["singlets"]["two_photon_strengths"]),
        tuple([float(cells[f"S{k}_{end}"]) for k in range(1, 7)] for end in ("f", "two_photon_au")),
    ]
    for one, two in (map(np.asarray, pair) for pair in tables):
        assert one.max() > 0.1
        assert two.max() > 10.0
        assert two[one > 1e-6].max() < 1e-6
        assert one[two > 1e-3].max() < 1e-6


def test_resonant_states_are_those_at_twice_a_reached_energy() -> None:
    """Half the energy within 0.2 eV of a state that one photon reaches, however faintly."""
    energies = np.array([3.0, 3.3, 5.5, 5.7, 6.3, 6.5, 7.2])
    strengths = np.array([1e-5, 0.0, 0.5, 1e-12, 0.1, 0.1, 0.1])
    near = resonant(energies, strengths)
    # Halves: 2.75, 2.85, 3.15, 3.25 and 3.6; the state at 3.3 is dark.
    assert near.tolist() == [False, False, False, True, True, False, False]
    assert not resonant(energies, np.zeros(7)).any()
    assert resonant(energies[:0], strengths[:0]).shape == (0,)


def test_even_a_faint_state_makes_strengths_diverge(model: Surrogate) -> None:
    """δ of S3 of acrolein grows as d⁻² where one of two photons comes to d from S1, f = 2·10⁻⁵."""
    with torch.no_grad():
        solution = model(model.graph([read(ACROLEIN)]), 5, n_triplets=1)
    response, r, states = solution.response, solution.operators.dipole, solution.singlets
    assert 1e-6 < float(states.oscillator_strengths[0, 0]) < 1e-4
    X, Y, energies = states.X[0, 2:3], states.Y[0, 2:3], states.energies[0]
    strengths = []
    for distance in (2e-3, 1e-3):
        frequency = energies[:1] + distance
        first, second = (
            driven(response, HARTREE * position(response, r), w)
            for w in (frequency, energies[2:3] - frequency)
        )
        moments = contracted(response, r, X, Y, first, second).numpy()
        moments = 0.5 * (moments + moments.swapaxes(1, 2))
        strengths += TwoPhotonAbsorption(energies[2:3].numpy(), moments).strengths.tolist()
    assert strengths[0] > 100.0
    assert strengths[1] / strengths[0] == pytest.approx(4.0, rel=0.1)


def test_resonant_states_are_warned_of_once(model: Surrogate) -> None:
    result = model.predict(read(ACROLEIN), 5, n_triplets=1)
    filled = with_two_photon(model, result)
    singlets = filled.singlets
    near = resonant(singlets.energies, singlets.oscillator_strengths)
    assert near.any()
    (warning,) = set(filled.warnings) - set(result.warnings)
    named = [label for label, there in zip(singlets.labels, near, strict=True) if there]
    assert f"two-photon strengths of {', '.join(named)} are resonant" in warning
    assert with_two_photon(model, filled) == filled
