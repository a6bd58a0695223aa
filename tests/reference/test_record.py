"""Records: what they hold belongs together, and turns with the molecule."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from reference_cases import QUICK, converged, record, structure
from scipy.linalg import block_diag
from scipy.spatial.transform import Rotation

from esml.io.records import Record, unpack
from esml.units import BOHR, HARTREE
from reference.record import content_key, key_of, make_record
from reference.scf import CalculationError, Level

ROTATION = Rotation.from_rotvec([0.7, -1.1, 0.4]).as_matrix()
SHIFT = np.array([1.3, -0.4, 0.9])


def moved(atoms: Atoms) -> Atoms:
    result: Atoms = atoms.copy()
    result.positions[:] = atoms.positions @ ROTATION.T + SHIFT
    return result


def turn(numbers: np.ndarray) -> np.ndarray:
    """How minimal orbitals turn: s not at all, x y z like a vector."""
    values: np.ndarray = block_diag(
        *(1.0 if z == 1 else block_diag(1.0, ROTATION) for z in numbers)
    )
    return values


def pair(name: str, level: Level) -> tuple[Record, Record]:
    return record(name, level), make_record(moved(structure(name)), level)


@pytest.fixture(scope="module")
def exact() -> tuple[Record, Record]:
    """Hartree–Fock, which needs no grid: rotations are exact up to the SCF's convergence."""
    return pair("H2CO", replace(QUICK, virtual_cutoff=None, energy_tolerance=1e-11))


def test_scalars_do_not_change(exact: tuple[Record, Record]) -> None:
    one, other = exact
    assert other.total_energy == pytest.approx(one.total_energy, abs=1e-6)
    for name in (
        "energies",
        "scf_energies",
        "reference_energies",
        "charges",
        "singlet_energies",
        "singlet_strengths",
        "singlet_valence_weights",
        "triplet_energies",
        "triplet_valence_weights",
    ):
        np.testing.assert_allclose(
            getattr(other, name), getattr(one, name), atol=2e-6, err_msg=name
        )
    assert one.singlet_strengths.max() > 0.1


def test_dipoles_turn(exact: tuple[Record, Record]) -> None:
    one, other = exact
    assert np.linalg.norm(one.dipole) > 0.5
    np.testing.assert_allclose(other.dipole, ROTATION @ one.dipole, atol=1e-5)
    # Transition dipoles have no sign of their own.
    a = one.singlet_dipoles @ ROTATION.T
    np.testing.assert_allclose(
        np.einsum("sx,sy->sxy", other.singlet_dipoles, other.singlet_dipoles),
        np.einsum("sx,sy->sxy", a, a),
        atol=1e-5,
    )


def test_hamiltonians_turn_blockwise(exact: tuple[Record, Record]) -> None:
    one, other = exact
    D = turn(one.numbers)
    for name in ("hamiltonian", "scf_hamiltonian"):
        H = getattr(one, name)
        np.testing.assert_allclose(getattr(other, name), D @ H @ D.T, atol=2e-6, err_msg=name)
        assert np.abs(D @ H @ D.T - H).max() > 1.0


def test_dipole_operators_turn_and_move(exact: tuple[Record, Record]) -> None:
    one, other = exact
    D = turn(one.numbers)
    for name in ("dipole_operator", "scf_dipole_operator"):
        r = np.einsum("xy,ymn->xmn", ROTATION, unpack(getattr(one, name)))
        r = D @ r @ D.T + SHIFT[:, None, None] / BOHR * np.eye(len(D))
        np.testing.assert_allclose(unpack(getattr(other, name)), r, atol=1e-5, err_msg=name)


def test_amplitudes_turn(exact: tuple[Record, Record]) -> None:
    """Transition densities C_o X C_vᵀ in the minimal functions, up to the sign of the state."""
    one, other = exact
    D = turn(one.numbers)

    def densities(r: Record, x: np.ndarray) -> np.ndarray:
        o = int(r.n_occupied)
        values: np.ndarray = np.einsum(
            "mi,sia,na->smn", r.coefficients[:, :o], x, r.coefficients[:, o:]
        )
        return values

    for name in ("singlet_x", "singlet_y", "triplet_x"):
        expected = D @ densities(one, getattr(one, name)) @ D.T
        found = densities(other, getattr(other, name))
        signs = np.sign(np.einsum("smn,smn->s", expected, found))[:, None, None]
        np.testing.assert_allclose(signs * found, expected, atol=5e-6, err_msg=name)


def test_production_grids_turn_with_the_molecule_nearly() -> None:
    """Integration grids are fixed in space, so a rotation changes their error: below 1 meV."""
    one, other = pair("H2O", Level())
    D = turn(one.numbers)
    np.testing.assert_allclose(other.hamiltonian, D @ one.hamiltonian @ D.T, atol=1e-3)
    np.testing.assert_allclose(other.singlet_energies, one.singlet_energies, atol=1e-3)
    np.testing.assert_allclose(other.triplet_energies, one.triplet_energies, atol=1e-3)
    np.testing.assert_allclose(other.charges, one.charges, atol=1e-4)


def test_fine_grids_turn_with_the_molecule() -> None:
    level = Level(basis="6-31g", scf_grid=5, response_grid=5, energy_tolerance=1e-11)
    one, other = pair("H2O", level)
    D = turn(one.numbers)
    np.testing.assert_allclose(other.hamiltonian, D @ one.hamiltonian @ D.T, atol=2e-6)
    np.testing.assert_allclose(other.singlet_energies, one.singlet_energies, atol=2e-6)
    np.testing.assert_allclose(other.triplet_energies, one.triplet_energies, atol=2e-6)
    np.testing.assert_allclose(other.singlet_strengths, one.singlet_strengths, atol=2e-6)
    np.testing.assert_allclose(other.charges, one.charges, atol=2e-6)


def test_a_record_is_what_its_calculations_gave() -> None:
    level = Level()
    r = record("H2CO", level)
    mean_field = converged("H2CO", level)
    n_core, o = 2, 6
    assert int(r.n_occupied) == o
    assert r.total_energy == pytest.approx(mean_field.e_tot * HARTREE, abs=1e-6)
    np.testing.assert_allclose(
        r.reference_energies, mean_field.mo_energy[: n_core + o + 10] * HARTREE, atol=1e-6
    )
    np.testing.assert_allclose(r.energies[:o], r.reference_energies[n_core:][:o], atol=1e-6)
    np.testing.assert_allclose(r.dipole, mean_field.dip_moment(unit="AU", verbose=0), atol=1e-6)
    np.testing.assert_array_equal(r.positions, structure("H2CO").positions)
    assert r.name == "H2CO"
    assert json.loads(r.level) == json.loads(level.to_json())
    provenance = json.loads(r.provenance)
    assert provenance["seconds_total"] >= provenance["seconds_response"] >= 0
    assert "pyscf" in provenance


def test_amplitudes_belong_to_the_stored_orbitals() -> None:
    """They give back the transition dipoles with stored coefficients and operators.

    Exactly so in STO-3G, which the minimal basis spans; a sign or an order of orbitals lost between
    the calculations would show. (Frozen cores in the response keep the core out of both.)
    """
    r = record("H2CO", replace(QUICK, basis="sto-3g", virtual_cutoff=None))
    o = int(r.n_occupied)
    np.testing.assert_allclose(r.singlet_valence_weights, 1.0, atol=1e-7)
    moments = r.coefficients[:, :o].T @ unpack(r.dipole_operator) @ r.coefficients[:, o:]
    mu = np.sqrt(2.0) * np.einsum("sia,xia->sx", r.singlet_x + r.singlet_y, moments)
    np.testing.assert_allclose(mu, r.singlet_dipoles, atol=1e-7)
    assert np.linalg.norm(mu, axis=1).max() > 0.5


def test_states_above_the_window_are_left_out_but_three() -> None:
    level = replace(QUICK, energy_window=12.0)
    r = record("H2CO", level)
    wide = record("H2CO", replace(level, energy_window=1e3))
    inside = int((wide.singlet_energies < 12.0).sum())
    assert 3 < inside < len(wide.singlet_energies) == level.n_singlets
    np.testing.assert_allclose(r.singlet_energies, wide.singlet_energies[:inside], atol=1e-9)
    assert len(r.singlet_x) == len(r.singlet_y) == len(r.singlet_dipoles) == inside
    narrow = record("H2CO", replace(level, energy_window=0.1))
    assert len(narrow.singlet_energies) == len(narrow.triplet_energies) == 3


def test_content_keys_depend_on_what_labels_depend_on() -> None:
    atoms = structure("H2O")
    key = content_key(atoms, QUICK)
    assert len(key) == 20
    renamed = atoms.copy()
    renamed.info["name"] = "another name"
    renamed.positions += 1e-8
    assert content_key(renamed, QUICK) == key
    nudged, charged, other = atoms.copy(), atoms.copy(), atoms.copy()
    nudged.positions[0, 0] += 2e-6
    charged.info["charge"] = 2
    other.symbols[0] = "S"
    keys = {content_key(a, QUICK) for a in (atoms, nudged, charged, other)}
    keys |= {content_key(atoms, replace(QUICK, response_grid=1))}
    assert len(keys) == 5
    r = record("H2O", QUICK)
    assert key_of(r) == r.key == key


def test_what_is_known_of_a_structure_goes_into_its_record() -> None:
    atoms = structure("H2O")
    known = {"smiles": "O", "inchikey": "XLYOFNOQVPJJNP-UHFFFAOYSA-N", "split": "train"}
    atoms.info |= {**known, "geometry": "thermal", "temperature": 300.0, "seed": 4}
    r = make_record(atoms, QUICK)
    assert {k: getattr(r, k) for k in known} == known
    assert r.geometry == "thermal"
    assert json.loads(r.provenance)["temperature"] == 300.0


def test_an_ion_without_virtual_orbitals_is_refused() -> None:
    with pytest.raises(CalculationError, match="4 of 4 valence orbitals occupied"):
        make_record(Atoms("F", info={"charge": -1}), QUICK)
