"""Excitation labels from dense matrices are those of PySCF's own solvers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from pyscf import tdscf
from reference_cases import QUICK, UNTRUNCATED, converged, structure

from esml.units import HARTREE
from reference.downfold import MinimalOrbitals, downfold
from reference.record import make_record, project
from reference.response import ActiveSpace, LabelStates, coupled, excitations
from reference.scf import CalculationError, Level, ground_state, molecule

N_COMPARED = 5
# PySCF's iterative solver may miss a root next to the last ones it is asked for.
N_ASKED = 9


@cache
def labels(name: str, level: Level) -> tuple[ActiveSpace, LabelStates, LabelStates]:
    return excitations(converged(name, replace(level, **GROUND)), level)


# What of a level the ground state does not depend on, so that ground states are shared.
GROUND: dict[str, Any] = {"virtual_cutoff": None, "response_grid": 3, "frozen_core": False}


@pytest.mark.parametrize(
    ("name", "functional", "basis"),
    [
        ("H2O", "lda,vwn", "6-31g"),
        ("H2O", "pbe", "6-31g"),
        ("HCN", "pbe0", "6-31g"),
        ("NH4+", "hf", "6-31g"),
        ("H2O", "camb3lyp", "def2-svp"),
        ("H2CO", "camb3lyp", "6-31g"),
        ("HI", "camb3lyp", "def2-svp"),
        pytest.param("H2CO", "camb3lyp", "def2-svp", marks=pytest.mark.slow),
        *(
            pytest.param(name, "camb3lyp", "def2-svp", marks=pytest.mark.slow)
            for name in ("BH3", "SiH4", "PH3", "SeH2", "HBr", "SH-")
        ),
    ],
)
def test_states_are_those_of_pyscf(name: str, functional: str, basis: str) -> None:
    """The same ground state, PySCF's TDDFT and TDA: energies to 1e-5 eV, strengths to 1e-5."""
    level = replace(UNTRUNCATED, functional=functional, basis=basis)
    mean_field = converged(name, level)
    _, singlets, triplets = labels(name, level)

    full = tdscf.TDDFT(mean_field).set(nstates=N_ASKED, conv_tol=1e-6, max_cycle=200)
    full.kernel()
    assert np.all(full.converged[:N_COMPARED])
    n = slice(N_COMPARED)
    np.testing.assert_allclose(singlets.energies[n], full.e[n] * HARTREE, atol=1e-5)
    strengths = full.oscillator_strength()
    np.testing.assert_allclose(singlets.oscillator_strengths[n], strengths[n], atol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(singlets.transition_dipoles[n], axis=1),
        np.linalg.norm(full.transition_dipole()[n], axis=1),
        atol=1e-3,
    )

    tda = tdscf.TDA(mean_field).set(nstates=N_ASKED, conv_tol=1e-6, singlet=False)
    tda.kernel()
    np.testing.assert_allclose(triplets.energies[n], tda.e[n] * HARTREE, atol=1e-5)
    assert not triplets.y.any()
    assert not triplets.oscillator_strengths.any()


@pytest.mark.parametrize("name", ["H2O", "H2CO"])
def test_truncations_of_production_cost_less_than_20_meV(name: str) -> None:
    """Coarse grids, frozen cores, no virtuals above 3 Ha: states below the window's end."""
    _, singlets, triplets = labels(name, UNTRUNCATED)
    _, cut_singlets, cut_triplets = excitations(converged(name, Level()), Level())
    for exact, cut in ((singlets, cut_singlets), (triplets, cut_triplets)):
        n = max(3, int((exact.energies < Level().energy_window).sum()))
        error = np.abs(cut.energies[:n] - exact.energies[:n]).max()
        assert 1e-6 < error < 0.020
        np.testing.assert_allclose(
            cut.oscillator_strengths[:n], exact.oscillator_strengths[:n], atol=2e-3
        )


@pytest.mark.parametrize(
    ("truncation", "bound"),
    [
        ({"frozen_core": True}, 0.002),
        ({"virtual_cutoff": 3.0}, 0.020),
        ({"response_grid": 0}, 0.012),
    ],
)
def test_each_truncation_costs_what_the_documentation_says(
    truncation: dict[str, Any], bound: float
) -> None:
    _, singlets, triplets = labels("H2CO", UNTRUNCATED)
    _, cut_singlets, cut_triplets = labels("H2CO", replace(UNTRUNCATED, **truncation))
    for exact, cut in ((singlets, cut_singlets), (triplets, cut_triplets)):
        n = max(3, int((exact.energies < Level().energy_window).sum()))
        assert 0 < np.abs(cut.energies[:n] - exact.energies[:n]).max() < bound


def test_the_active_space_is_cut_where_it_says() -> None:
    mean_field = converged("H2O", UNTRUNCATED)
    n_all = len(mean_field.mo_energy)
    assert ActiveSpace.of(mean_field, UNTRUNCATED).gaps.shape == (5, n_all - 5)
    space = ActiveSpace.of(mean_field, Level())
    below = int((mean_field.mo_energy < 3.0).sum())
    assert below < n_all
    assert space.gaps.shape == (4, below - 5)
    np.testing.assert_allclose(
        space.gaps[1, 2], mean_field.mo_energy[7] - mean_field.mo_energy[2], atol=1e-12
    )
    # A cutoff below everything leaves one virtual orbital, so that there are states at all.
    assert ActiveSpace.of(mean_field, replace(Level(), virtual_cutoff=-9.0)).gaps.shape == (4, 1)


@cache
def ethene() -> tuple[LabelStates, LabelStates, MinimalOrbitals, tuple[Any, ...]]:
    mean_field = converged("C2H4", Level())
    space, singlets, triplets = labels("C2H4", Level())
    minimal = downfold(mean_field)
    overlap = mean_field.get_ovlp()
    x, y, w = project(singlets, space, minimal, overlap)
    xt, yt, wt = project(triplets, space, minimal, overlap)
    return singlets, triplets, minimal, (x, y, w, xt, yt, wt)


def test_amplitudes_are_normalized_before_projection() -> None:
    """X†X − Y†Y = 1, states orthogonal in that metric."""
    for name, level in (("C2H4", Level()), ("H2O", UNTRUNCATED)):
        _, singlets, triplets = labels(name, level)
        n = len(singlets.energies)
        x, y = singlets.x.reshape(n, -1), singlets.y.reshape(n, -1)
        np.testing.assert_allclose(x @ x.T - y @ y.T, np.eye(n), atol=1e-8)
        assert (y**2).sum(1).max() > 1e-4
        xt = triplets.x.reshape(len(triplets.energies), -1)
        np.testing.assert_allclose(xt @ xt.T, np.eye(len(xt)), atol=1e-10)


def test_projection_only_loses_weight() -> None:
    singlets, _, minimal, (x, y, w, xt, _, wt) = ethene()
    o, v = minimal.n_occupied, len(minimal.energies) - minimal.n_occupied
    assert x.shape == (len(singlets.energies), o, v)
    np.testing.assert_allclose(w, (x**2).sum((1, 2)) - (y**2).sum((1, 2)), atol=1e-12)
    np.testing.assert_allclose(wt, (xt**2).sum((1, 2)), atol=1e-12)
    for weights in (w, wt):
        assert (weights <= 1 + 1e-10).all()
        assert (weights >= 0).all()
    # The ππ* triplet, the lowest, is a valence state; ethene's low singlets are Rydberg but one.
    assert wt[0] > 0.95
    assert (w[:6] < 0.8).sum() >= 2
    assert (w[:6] > 0.9).any()


def test_the_bright_state_of_ethene_survives_in_the_minimal_basis() -> None:
    """Its transition dipole from minimal amplitudes and operator: within 15 % of the label."""
    singlets, _, minimal, (x, y, w, *_) = ethene()
    bright = int(singlets.oscillator_strengths[:6].argmax())
    assert singlets.oscillator_strengths[bright] == pytest.approx(0.38, abs=0.05)
    assert w[bright] > 0.9
    occupied = minimal.coefficients[:, : minimal.n_occupied]
    virtual = minimal.coefficients[:, minimal.n_occupied :]
    r = np.einsum("mi,xmn,na->xia", occupied, minimal.dipole_operator, virtual)
    mu = np.sqrt(2.0) * np.einsum("ia,xia->x", x[bright] + y[bright], r)
    label = singlets.transition_dipoles[bright]
    assert np.linalg.norm(mu - label) < 0.15 * np.linalg.norm(label)


def test_a_minimal_basis_that_is_the_large_one_loses_nothing() -> None:
    """In STO-3G the intrinsic orbitals span everything: all weights are one, energies the same."""
    level = replace(QUICK, basis="sto-3g", virtual_cutoff=None)
    mean_field = converged("H2O", level)
    space, singlets, triplets = excitations(mean_field, level)
    minimal = downfold(mean_field)
    assert len(minimal.energies) == 6
    np.testing.assert_allclose(minimal.energies / HARTREE, mean_field.mo_energy[1:], atol=1e-8)
    for states in (singlets, triplets):
        np.testing.assert_allclose(
            project(states, space, minimal, mean_field.get_ovlp())[2], 1.0, atol=1e-8
        )


def energies_of(atoms: Atoms, level: Level) -> np.ndarray:
    mean_field = ground_state(molecule(atoms, level.basis), level.functional, level)
    return excitations(mean_field, level)[1].energies


def test_a_triplet_below_the_ground_state_is_refused() -> None:
    """Stretched H2: the restricted ground state is no minimum."""
    stretched = Atoms("H2", positions=[[0, 0, 0], [0, 0, 2.5]])
    with pytest.raises(CalculationError, match=r"a triplet lies \d\.\d\d eV below it"):
        energies_of(stretched, QUICK)
    near = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    assert energies_of(near, QUICK)[0] > 10


def test_coupled_equations_are_those_of_casida() -> None:
    """ω and (X, Y) solve [[A, B], [−B, −A]] (X, Y) = ω (X, Y), the lowest positive ones."""
    rng = np.random.default_rng(1)
    a, b = (m + m.T for m in rng.normal(size=(2, 6, 6)))
    a, b = a + 12.0 * np.eye(6), 0.5 * b
    whole = np.block([[a, b], [-b, -a]])
    energies, x, y = coupled(a - b, a + b, 4)
    values = np.linalg.eigvals(whole)
    np.testing.assert_allclose(values.imag, 0.0, atol=1e-12)
    np.testing.assert_allclose(energies, np.sort(values.real[values.real > 0])[:4], rtol=1e-10)
    both = np.concatenate([x, y], axis=1)
    np.testing.assert_allclose(whole @ both.T, energies * both.T, atol=1e-10)
    np.testing.assert_allclose(x @ x.T - y @ y.T, np.eye(4), atol=1e-10)


@pytest.mark.parametrize(
    ("minus", "plus", "message"),
    [
        (-5.0, 0.0, "A−B of the singlet response is not"),
        (0.0, -5.0, "energy is imaginary"),
    ],
)
def test_a_singlet_instability_is_refused(minus: float, plus: float, message: str) -> None:
    """Either matrix not positive in one direction, by an attraction put in by hand."""
    gaps, one = np.diag([1.0, 2.0, 3.0]), np.diag([0.0, 1.0, 0.0])
    assert coupled(gaps, gaps, 3)[0] == pytest.approx([1.0, 2.0, 3.0])
    with pytest.raises(CalculationError, match=message):
        coupled(gaps + minus * one, gaps + plus * one, 3)


def test_an_attraction_around_a_molecule_is_an_instability() -> None:
    """So strong a one that the closed shell would break up, in place of surroundings."""
    with pytest.raises(CalculationError, match="energy is imaginary"):
        excitations(converged("H2O", QUICK), QUICK, lambda space: -5.0 * np.eye(space.gaps.size))


@pytest.mark.parametrize(
    ("functional", "message"),
    [
        ("tpss", "'tpss' is a MGGA functional: expected LDA, GGA"),
        ("wb97x-v", "'wb97x-v' has nonlocal correlation"),
        ("camb4lyp", "'camb4lyp' is not known to PySCF"),
    ],
)
def test_unsuited_functionals_are_refused_before_anything_is_computed(
    functional: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference.record.ground_state", None)
    with pytest.raises(CalculationError, match=message):
        make_record(structure("H2O"), Level(functional=functional))
