"""Excited states with one another, against explicit determinants of spin orbitals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

import esml
from esml.analysis.characters import Wavefunctions
from esml.analysis.emission import lifetime_text, radiative_lifetime, radiative_rate
from esml.analysis.spin_orbit import CONSTANTS, WAVENUMBER, spin_orbit
from esml.analysis.transitions import between, state_charges, state_dipoles
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.units import DEBYE, HARTREE

SPINS = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]]) / 2
Determinant = tuple[int, ...]
State = dict[Determinant, complex]


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


@pytest.fixture(scope="module")
def result(model: Surrogate) -> Result:
    return model.predict(molecule("H2CO"), n_states=8)


def random_states(o: int, v: int, count: int, seed: int) -> Wavefunctions:
    """Orthonormal states without de-excitations, in the orbitals of one carbon atom."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(o * v, o * v)))[0][:, :count]
    X = vectors.T.reshape(count, o, v)
    orbitals = np.linalg.qr(np.random.default_rng(1).normal(size=(o + v, o + v)))[0]
    energies = np.sort(rng.uniform(3, 8, count))
    levels = np.arange(o + v, dtype=float)
    return Wavefunctions(Atoms("C"), orbitals, levels, o, energies, X, 0.0 * X)


def excite(determinant: Determinant, hole: int, electron: int) -> tuple[Determinant, int]:
    """a†_electron a_hole of a sorted determinant, and its sign."""
    place = determinant.index(hole)
    rest = determinant[:place] + determinant[place + 1 :]
    behind = sum(p < electron for p in rest)
    return tuple(sorted((*rest, electron))), (-1) ** (place + behind)


def spin_state(X: np.ndarray, spins: dict[tuple[int, int], float]) -> State:
    """Σ X_ia Σ_στ c_στ a†_aτ a_iσ of the closed shell; spin orbitals 2p (α) and 2p + 1 (β)."""
    o, v = X.shape
    closed = tuple(range(2 * o))
    state: State = {}
    for i, a in product(range(o), range(v)):
        for (hole, electron), weight in spins.items():
            found, sign = excite(closed, 2 * i + hole, 2 * (o + a) + electron)
            state[found] = state.get(found, 0.0) + sign * weight * X[i, a]
    return state


def element(bra: State, operator: np.ndarray, ket: State) -> complex:
    """⟨bra|Σ_pq O_pq a†_p a_q|ket⟩ by letting every term act."""
    total = 0.0 + 0.0j
    for determinant, weight in ket.items():
        for q in determinant:
            for p in range(len(operator)):
                if p == q or p not in determinant:
                    found, sign = excite(determinant, q, p)
                    total += np.conj(bra.get(found, 0.0)) * operator[p, q] * sign * weight
    return total


HALF = 2**-0.5
SINGLET = {(0, 0): HALF, (1, 1): HALF}
TRIPLETS = ({(0, 0): HALF, (1, 1): -HALF}, {(1, 0): 1.0}, {(0, 1): 1.0})


def test_between_states_of_explicit_determinants() -> None:
    states = random_states(2, 2, 3, seed=0)
    operator = np.random.default_rng(4).normal(size=(4, 4))
    operator += operator.T
    inner = states.coefficients.T @ operator @ states.coefficients
    spin_orbitals = np.kron(inner, np.eye(2))
    ground = 2 * np.trace(inner[:2, :2])
    for spins in (SINGLET, TRIPLETS[1]):
        explicit = [spin_state(x, spins) for x in states.X]
        expected = [[element(a, spin_orbitals, b) for b in explicit] for a in explicit]
        found = between(states, operator) + ground * np.eye(3)
        np.testing.assert_allclose(found, np.real(expected), atol=1e-12)


def test_spin_orbit_couplings_of_explicit_determinants() -> None:
    singlets, triplets = random_states(2, 2, 2, seed=1), random_states(2, 2, 3, seed=2)
    angular = np.zeros((3, 4, 4))
    for k, (i, j) in enumerate(((2, 3), (3, 1), (1, 2))):
        angular[k, i, j], angular[k, j, i] = 1.0, -1.0
    inner = singlets.coefficients.T @ angular @ singlets.coefficients
    operator = np.asarray(sum(np.kron(-1j * CONSTANTS[6] * inner[k], SPINS[k]) for k in range(3)))
    found = spin_orbit(singlets, triplets, np.zeros((3, 4, 4)), np.zeros((2, 3)))
    bras: list[State] = [{(0, 1, 2, 3): 1.0}, *(spin_state(x, SINGLET) for x in singlets.X)]
    expected = [
        [
            sum(abs(element(bra, operator, spin_state(x, spins))) ** 2 for spins in TRIPLETS)
            for x in triplets.X
        ]
        for bra in bras
    ]
    assert np.min(expected) > 0.1
    np.testing.assert_allclose(found.strengths**2, expected, rtol=1e-10)


def test_formaldehyde_obeys_el_sayed(result: Result) -> None:
    """³nπ* couples to the ground state and to ¹ππ*, not to ¹nπ*; literature 60 cm⁻¹ for ⟨0|T1⟩."""
    found = result.spin_orbit()
    assert result.characters("triplets")[0].label == "nπ*"
    assert found.strengths[1, 0] < 1e-3  # of the same orbitals: zero by symmetry
    assert 40 < found.strengths[0, 0] < 80
    assert found.couplings.shape == (9, 8, 3)
    assert 1e-4 < found.lifetimes[0] < 1.0


def test_borrowed_dipoles_are_those_of_the_mixed_states(result: Result) -> None:
    """First order of diagonalizing H + H_SO among the states, as the coupling is made small."""
    found = result.spin_orbit()
    waves = result.wavefunctions("triplets")
    assert result.dipole_operator is not None
    S, T = len(result.singlets), len(result.triplets)
    scale = 1e-3
    for k in range(3):
        size = 1 + S + T
        matrix = np.diag([0.0, *result.singlets.energies, *result.triplets.energies]).astype(
            complex
        )
        block = -1j * WAVENUMBER * scale * found.couplings[:, :, k]
        matrix[: 1 + S, 1 + S :], matrix[1 + S :, : 1 + S] = block, block.conj().T
        dipole = np.zeros((3, size, size))
        dipole[:, 0, 1 : 1 + S] = result.singlets.transition_dipoles.T
        dipole[:, 1 : 1 + S, 0] = result.singlets.transition_dipoles.T
        dipole[:, 1 + S :, 1 + S :] = between(waves, result.dipole_operator).transpose(2, 0, 1)
        _, states = np.linalg.eigh(matrix)
        ground = states[:, np.abs(states[0]).argmax()]
        lowest = states[:, np.abs(states[1 + S]).argmax()]
        mixed = np.einsum("p,xpq,q->x", ground.conj(), dipole, lowest)
        expected = scale * found.transition_dipoles[0, k]
        np.testing.assert_allclose(np.abs(mixed), np.abs(expected), atol=1e-5 * scale)


def test_rotation_changes_no_rate(model: Surrogate) -> None:
    atoms = molecule("CH3CHO")
    turned = atoms.copy()
    turned.positions = Rotation.random(random_state=2).apply(atoms.positions)
    here, there = (model.predict(each, n_states=6) for each in (atoms, turned))
    first, second = here.spin_orbit(), there.spin_orbit()
    np.testing.assert_allclose(first.strengths, second.strengths, atol=1e-2)
    np.testing.assert_allclose(first.lifetimes[0], second.lifetimes[0], rtol=1e-3)


def test_dipoles_and_charges_of_states(result: Result) -> None:
    dipoles, charges = result.state_dipoles(), result.state_charges()
    assert dipoles.shape == (8, 3)
    np.testing.assert_allclose(charges.sum(1), 0.0, atol=1e-10)
    # An nπ* state takes charge from oxygen: the dipole of formaldehyde falls (measured: by 0.8 D).
    assert np.linalg.norm(dipoles[0]) < np.linalg.norm(result.dipole) - 0.3
    assert charges[0, result.atoms.numbers == 8] > result.charges[result.atoms.numbers == 8] + 0.1
    waves = result.wavefunctions()
    assert result.dipole_operator is not None
    attached, detached = waves.attachment_detachment(0)
    moved = np.einsum("xuv,uv->x", result.dipole_operator, attached - detached)
    expected = result.dipole - DEBYE * moved
    np.testing.assert_allclose(
        state_dipoles(waves, result.dipole_operator, result.dipole)[0], expected, atol=1e-9
    )
    np.testing.assert_allclose(state_charges(waves, result.charges), charges)


def test_absorption_of_an_excited_state(result: Result) -> None:
    from_first = result.excited_state_absorption("S1")
    back = result.excited_state_absorption("S3")
    assert from_first.finals == ("S2", "S3", "S4", "S5", "S6", "S7", "S8")
    np.testing.assert_allclose(from_first.energies, np.diff(result.singlets.energies).cumsum())
    expected = 2 / 3 * from_first.energies / HARTREE * np.square(from_first.dipoles).sum(1)
    np.testing.assert_allclose(from_first.oscillator_strengths, expected)
    assert back.oscillator_strengths[0] == pytest.approx(-from_first.oscillator_strengths[1])
    assert result.excited_state_absorption("T2").initial == "T2"
    with pytest.raises(ValueError, match="expected one of those predicted, up to S8 or T8"):
        result.excited_state_absorption("S9")


def test_densities_between_states_by_name(result: Result) -> None:
    found = result.excited_state_absorption("S2")
    density = result.density_between("S2", "S5")
    assert result.dipole_operator is not None
    dipole = np.einsum("xuv,uv->x", result.dipole_operator, density)
    np.testing.assert_allclose(dipole, found.dipoles[found.finals.index("S5")], atol=1e-9)
    with pytest.raises(ValueError, match="expected two singlets or two triplets"):
        result.density_between("S1", "T1")
    with pytest.raises(ValueError, match="expected one of those predicted, up to S8 or T8"):
        result.density_between("S1", "S9")


def test_the_rate_of_lyman_alpha() -> None:
    """A(2p → 1s) = 6.2649·10⁸ 1/s, f(1s → 2p) = 0.41620 at 10.1988 eV; 2p has three levels."""
    assert radiative_rate(10.1988, 0.41620) / 3 == pytest.approx(6.2649e8, rel=1e-3)
    assert radiative_lifetime(10.1988, 0.0) == np.inf
    assert radiative_rate(3.0, 0.5, 1.5) == pytest.approx(2.25 * radiative_rate(3.0, 0.5))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (40321.0, "40000 s"),
        (0.9999, "1 s"),
        (0.0234, "23 ms"),
        (3.13e-6, "3.1 µs"),
        (2.5e-7, "250 ns"),
        (4.04e-10, "0.4 ns"),
        (np.inf, "infinite (a dark state)"),
    ],
)
def test_lifetimes_in_words(seconds: float, text: str) -> None:
    assert lifetime_text(seconds) == text
