"""The model as users meet it: symmetries, size consistency, gradients, batches, edges.

Everything holds for any weights, so it is tested on a small model with random ones, in which every
layer is at work, and on the shipped one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

import esml
from esml.io.structure_checks import StructureError
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.checkpoint import Checkpoint, CheckpointError
from esml.model.checkpoint import save as save_checkpoint
from esml.model.hamiltonian import EffectiveHamiltonian, HamiltonianConfig
from esml.physics.basis import ELEMENTS
from esml.physics.excitations import InstabilityError
from esml.predict.batching import Batching
from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate
from esml.results import Failure, Result, States
from esml.units import BOHR, COULOMB, DEBYE, HARTREE

Array = NDArray[np.float64]

CONFIG = HamiltonianConfig(
    network=NetworkConfig(channels=6, layers=2, cutoff=4.0, radial=4, radial_hidden=8),
    pair_onset=2.5,
    pair_cutoff=4.0,
    pair_channels=4,
    hidden=8,
    products=2,
)
ALL = 10_000
"""More states than any molecule here has."""


def perturbed(mean_field: str = CONFIG.mean_field) -> Surrogate:
    """A model without the zeros its output layers start from.

    Weak exchange keeps ground states stable, which those of an untrained model need not be.
    """
    torch.manual_seed(1)
    config = CONFIG.model_copy(update={"mean_field": mean_field})
    hamiltonian = EffectiveHamiltonian(config).double()
    hamiltonian.set_baseline({z: {"hardness_exchange": 2.0} for z in ELEMENTS})
    with torch.no_grad():
        for parameter in hamiltonian.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Surrogate(hamiltonian, {"validation_rmse_eV": {"singlets": 0.3, "triplets": 0.2}}).eval()


@pytest.fixture(scope="module", params=["perturbed", "shipped"])
def model(request: pytest.FixtureRequest) -> Surrogate:
    if request.param == "shipped":
        return esml.load_model(dtype=torch.float64)
    return perturbed()


@pytest.fixture(scope="module")
def small() -> Surrogate:
    return perturbed()


# ---- structures -------------------------------------------------------------------------------


def distorted(name: str, seed: int = 0, size: float = 0.04) -> Atoms:
    """A molecule without any symmetry."""
    atoms = molecule(name)
    atoms.rattle(size, seed=seed)
    return atoms


def ring(size: int, radii: tuple[float, float], symbols: str) -> Atoms:
    """An exact regular polygon of CH groups."""
    angles = 2 * np.pi * np.arange(size) / size
    unit = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    positions = np.concatenate([r * unit for r in radii])
    return Atoms(symbols, positions=positions)


def benzene() -> Atoms:
    return ring(6, (1.395, 2.482), "C6H6")


def ammonia() -> Atoms:
    apex = Atoms("N", positions=[[0.0, 0.0, 0.30]])
    return apex + ring(3, (0.94,), "H3")


def nitrogen() -> Atoms:
    return Atoms("N2", positions=[[0, 0, 0], [0.3, 0.5, 0.92]])


def ammonium() -> Atoms:
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.59
    return Atoms("NH4", positions=[[0, 0, 0], *corners], info={"charge": 1})


def formate() -> Atoms:
    """Low in symmetry and negative."""
    positions = [[0.0, 0.0, 0.0], [1.25, 0.05, 0.02], [-0.62, 1.10, 0.0], [-0.52, -1.02, 0.1]]
    return Atoms("COOH", positions=positions, info={"charge": -1})


SYMMETRIC = {"benzene": benzene, "ammonia": ammonia, "nitrogen": nitrogen}
STRUCTURES: dict[str, Callable[[], Atoms]] = {
    **SYMMETRIC,
    "ammonium": ammonium,
    "formate": formate,
    "acetaldehyde": lambda: distorted("CH3CHO"),
    "methanethiol": lambda: distorted("CH3SH"),
    "chloromethane": lambda: distorted("CH3Cl"),
}


# ---- comparison of results --------------------------------------------------------------------


def degenerate_sets(energies: Array) -> list[list[int]]:
    sets: list[list[int]] = []
    for state, energy in enumerate(energies.tolist()):
        if sets and energy - energies[sets[-1][-1]] < 1e-6:
            sets[-1].append(state)
        else:
            sets.append([state])
    return sets


def assert_same_states(
    found: States, expected: States, tolerance: float, rotation: Array | None = None
) -> None:
    """Energies state by state; strengths and Σ μ ⊗ μ by degenerate set, so that neither the sign
    of a transition dipole nor the choice of axes within a set counts."""
    q = np.eye(3) if rotation is None else rotation
    np.testing.assert_allclose(found.energies, expected.energies, atol=tolerance, rtol=0)
    np.testing.assert_allclose(found.uncertainties, expected.uncertainties, rtol=1e-3)
    for states in degenerate_sets(expected.energies):
        strengths = (x.oscillator_strengths[states].sum() for x in (found, expected))
        assert abs(float(np.diff(list(strengths))[0])) < tolerance
        tensor, turned = (
            np.einsum("sx,sy->xy", x.transition_dipoles[states], x.transition_dipoles[states])
            for x in (found, expected)
        )
        np.testing.assert_allclose(tensor, q @ turned @ q.T, atol=10 * tolerance, rtol=0)


def turn_orbitals(atoms: Atoms, rotation: Array) -> Array:
    """(n, n) the rotation of s, x, y, z of every atom."""
    blocks = []
    for number in atoms.numbers:
        blocks.append(np.eye(1))
        if number != 1:
            blocks.append(rotation)
    n = sum(len(b) for b in blocks)
    matrix, start = np.zeros((n, n)), 0
    for block in blocks:
        matrix[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return matrix


def orbital_order(atoms: Atoms, order: list[int]) -> list[int]:
    """Which orbitals of ``atoms`` those of ``atoms[order]`` are."""
    counts = np.where(atoms.numbers == 1, 1, 4)
    first = np.cumsum(counts) - counts
    return [first[a] + k for a in order for k in range(counts[a])]


def assert_same(
    found: Result,
    expected: Result,
    tolerance: float = 1e-8,
    rotation: Array | None = None,
    shift: Array | None = None,
    order: list[int] | None = None,
) -> None:
    """``found`` is ``expected`` with its atoms turned, then shifted (Å), then reordered."""
    q = np.eye(3) if rotation is None else rotation
    moved = np.zeros(3) if shift is None else shift
    order = list(range(len(expected.atoms))) if order is None else order
    assert found.n_occupied == expected.n_occupied
    close: dict[str, Any] = {"atol": tolerance, "rtol": 0}
    np.testing.assert_allclose(found.orbital_energies, expected.orbital_energies, **close)
    np.testing.assert_allclose(found.charges, expected.charges[order], **close)
    dipole = q @ expected.dipole + expected.charges.sum() * moved / BOHR * DEBYE
    np.testing.assert_allclose(found.dipole, dipole, **close)
    turn = turn_orbitals(expected.atoms, q)
    index = orbital_order(expected.atoms, order)
    hamiltonian = (turn @ expected.hamiltonian @ turn.T)[np.ix_(index, index)]
    np.testing.assert_allclose(found.hamiltonian, hamiltonian, **close)
    assert_same_states(found.singlets, expected.singlets, tolerance, q)
    assert_same_states(found.triplets, expected.triplets, tolerance, q)


# ---- exact symmetries -------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRUCTURES)
def test_symmetries_of_space_and_of_equal_atoms_are_exact(model: Surrogate, name: str) -> None:
    """Rotation, inversion, translation and reordering at once, to 1e-8 (eV, e, debye)."""
    atoms = STRUCTURES[name]()
    expected = model.predict(atoms, ALL)
    assert len(expected.singlets) == len(expected.triplets)
    assert len(expected.singlets) == expected.n_occupied * (
        len(expected.orbital_energies) - expected.n_occupied
    )
    rng = np.random.default_rng(1)
    shift = np.array([11.0, -7.0, 3.0])
    for handedness in (1, -1):
        q = handedness * Rotation.random(random_state=handedness + 3).as_matrix()
        order = rng.permutation(len(atoms)).tolist()
        other = atoms.copy()
        other.positions = atoms.positions @ q.T + shift
        assert_same(
            model.predict(other[order], ALL), expected, rotation=q, shift=shift, order=order
        )


def test_a_symmetric_molecule_has_symmetric_results(model: Surrogate) -> None:
    found = model.predict(benzene(), ALL)
    np.testing.assert_allclose(found.charges[:6], found.charges[0], atol=1e-9)
    np.testing.assert_allclose(found.charges[6:], found.charges[6], atol=1e-9)
    np.testing.assert_allclose(found.dipole, 0, atol=1e-9)
    sets = degenerate_sets(found.singlets.energies)
    assert sum(len(states) == 2 for states in sets) > 20
    assert max(len(states) for states in sets) == 2
    # The two moments of a pair are orthogonal, equal and in the plane.
    pairs = [s for s in sets if found.singlets.oscillator_strengths[s].sum() > 1e-6 and len(s) == 2]
    assert pairs
    for pair in pairs:
        moments = found.singlets.transition_dipoles[pair]
        tensor = moments.T @ moments
        np.testing.assert_allclose(tensor, tensor[0, 0] * np.diag([1, 1, 0]), atol=1e-8)
    charges = model.predict(ammonium(), 3).charges
    np.testing.assert_allclose(charges[1:], charges[1], atol=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
def test_results_are_sound(model: Surrogate, name: str) -> None:
    atoms = STRUCTURES[name]()
    found = model.predict(atoms, 12)
    n = int(np.where(atoms.numbers == 1, 1, 4).sum())
    assert found.orbital_energies.shape == (n,)
    assert found.hamiltonian.shape == (n, n)
    np.testing.assert_array_equal(found.hamiltonian, found.hamiltonian.T)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(found.hamiltonian), found.orbital_energies, atol=1e-9
    )
    assert (np.diff(found.orbital_energies) > -1e-9).all()
    assert found.homo == found.orbital_energies[found.n_occupied - 1]
    assert found.lumo == found.orbital_energies[found.n_occupied]
    assert found.gap == found.lumo - found.homo > 0
    assert found.charges.sum() == pytest.approx(atoms.info.get("charge", 0), abs=1e-8)
    assert np.isfinite(found.dipole).all()
    for states in (found.singlets, found.triplets):
        assert len(states) == 12
        assert states.transition_dipoles.shape == (12, 3)
        assert np.isfinite(states.energies).all()
        assert (np.diff(states.energies) > -1e-9).all()
        assert (states.oscillator_strengths >= 0).all()
        squares = np.square(states.transition_dipoles).sum(1)
        np.testing.assert_allclose(
            states.oscillator_strengths, 2 / 3 * states.energies / HARTREE * squares, atol=1e-12
        )
        assert (states.uncertainties > 0).all()
    assert (found.singlets.energies > 0).all()
    assert not found.triplets.transition_dipoles.any()
    assert found.spectrum(fwhm=0.2).absorption.max() > 0


# ---- far molecules ----------------------------------------------------------------------------


def pair_of(first: Atoms, second: Atoms, distance: float) -> Atoms:
    other = second.copy()
    other.translate([distance, 0.0, 0.0])
    return first + other


def split_off(energies: Array, local: Array, tolerance: float) -> tuple[Array, Array]:
    """Deviations of the states nearest to the ``local`` ones, each taken once, and the rest."""
    rest = energies.tolist()
    deviations = []
    for energy in local:
        nearest = min(rest, key=lambda e: abs(e - energy))
        rest.remove(nearest)
        deviations.append(nearest - energy)
    assert np.abs(deviations).max() < tolerance
    return np.array(deviations), np.array(rest)


@pytest.mark.parametrize("kind", ["far", "full", "shipped"])
def test_two_far_molecules_are_the_union_of_both(kind: str) -> None:
    """What holds exactly at 30 Å, and what only nearly, in this theory.

    H⁰ and r are block-diagonal beyond the cutoffs and P is with them, so orbital energies, charges
    and dipoles are exactly those of the parts, but for the potential of the other's dipole where
    the mean field is full: about 10⁻³ eV at 30 Å, a quarter of that at 60 Å, and its field, which
    excitations feel, an eighth. The triplet kernel acts within atoms, and J joins a
    local excitation to nothing elsewhere (orbitals of different atoms have no product), so local
    triplets are exact too. Charge-transfer states come on top, o₁v₂ + o₂v₁ of them, exactly dark
    and not coupled to local states.

    Local singlets do see each other, through γ^K: transition charges sum to zero on each molecule,
    so what is left is a dipole–dipole energy 4 C d₁ d₂ / R³ ≲ 2·10⁻³ eV at 30 Å for moments of
    1 Å (and, as γ^K is not quite C/R, terms like C a^y/R^(1+y) with y ≈ 1.8, no larger). It joins
    states of different molecules only, so it shifts them in second order, by its square over their
    separation: less than 10⁻⁵ eV for states 0.4 eV apart (measured here: 10⁻⁷), falling as R^−5.5
    or faster. A bright pair that is nearly resonant would be moved more; these molecules have none.
    """
    model = esml.load_model(dtype=torch.float64) if kind == "shipped" else perturbed(kind)
    exact = model.hamiltonian.config.mean_field != "full"
    parts = [distorted("H2CO"), distorted("HCN", seed=1)]
    alone = [model.predict(atoms, ALL) for atoms in parts]
    # Aufbau of the pair must be that of the parts, or the ground state would transfer charge.
    assert max(r.homo for r in alone) < min(r.lumo for r in alone) - 1.0
    virtual = [len(r.orbital_energies) - r.n_occupied for r in alone]
    n_transfer = alone[0].n_occupied * virtual[1] + alone[1].n_occupied * virtual[0]
    transfer, shifts, moved = {}, {}, {}
    for distance in (30.0, 60.0):
        # A dipole of 0.7 e·Å gives a potential C d / R², which levels feel, and a field 2 C d / R³,
        # which moves charges and, by 1.5 e·Å of its own, the energy of a local state.
        potential = 1e-8 if exact else 0.7 * COULOMB / distance**2
        field = 1e-8 if exact else 1.5 * 2 * 0.7 * COULOMB / distance**3
        both = model.predict(pair_of(*parts, distance), ALL)
        levels = np.sort(np.concatenate([r.orbital_energies for r in alone]))
        np.testing.assert_allclose(both.orbital_energies, levels, atol=potential, rtol=0)
        moved[distance] = np.abs(both.orbital_energies - levels).max()
        charges = np.concatenate([r.charges for r in alone])
        np.testing.assert_allclose(both.charges, charges, atol=field, rtol=0)
        dipole = sum(r.dipole for r in alone)
        np.testing.assert_allclose(both.dipole, dipole, atol=10 * field, rtol=0)

        triplets = np.concatenate([r.triplets.energies for r in alone])
        _, rest = split_off(both.triplets.energies, triplets, field)
        assert len(rest) == n_transfer

        strengths = both.singlets.oscillator_strengths
        dark = strengths < 1e-12
        assert dark.sum() == n_transfer
        local = np.sort(np.concatenate([r.singlets.energies for r in alone]))
        shifts[distance], nothing = split_off(
            both.singlets.energies[~dark], local, 1e-5 if exact else field
        )
        assert len(nothing) == 0
        total = sum(r.singlets.oscillator_strengths.sum() for r in alone)
        assert strengths.sum() == pytest.approx(total, abs=field)
        # An electron far from its hole does not know of their spins.
        transfer[distance] = both.singlets.energies[dark]
        np.testing.assert_allclose(transfer[distance], rest, atol=1e-3)
    near, far = (np.abs(shifts[d]).max() for d in (30.0, 60.0))
    assert far < near / (30 if exact else 6) or far < 1e-9
    if not exact:  # R⁻² of the dipole; R^−(1+y), y = 1.75, of the damping that differs by element
        assert 3.6 < moved[30.0] / moved[60.0] < 2**2.75 * 1.05
    # Electron and hole attract each other by λC/R, with the functional's λ.
    limit = model.hamiltonian.config.exchange_limit
    gain = transfer[60.0] - transfer[30.0]
    np.testing.assert_allclose(gain, limit * COULOMB * (1 / 30 - 1 / 60), rtol=0.15)


# ---- gradients --------------------------------------------------------------------------------

Observable = Callable[[Solution], Tensor]


def slope_and_gradient(
    model: Surrogate, atoms: Atoms, observables: dict[str, Observable], seed: int
) -> dict[str, tuple[float, float]]:
    """d/dh of each observable along a random displacement: by differences and by autograd.

    Central differences of two steps, extrapolated to an error of O(step⁴).
    """
    graph = model.graph([atoms])
    generator = torch.Generator().manual_seed(seed)
    change = torch.randn(graph.positions.shape, generator=generator, dtype=torch.float64)
    change = change / change.norm()
    step = 5e-4

    def solve(positions: Tensor) -> Solution:
        solution: Solution = model(replace(graph, positions=positions), 10)
        return solution

    with torch.no_grad():
        moved = {h: solve(graph.positions + h * step * change) for h in (-2, -1, 1, 2)}
    positions = graph.positions.clone().requires_grad_()
    solution = solve(positions)
    found = {}
    for name, observable in observables.items():
        at = {h: float(observable(s)) for h, s in moved.items()}
        slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
        (gradient,) = torch.autograd.grad(observable(solution), positions, retain_graph=True)
        found[name] = slope, float((gradient * change).sum())
    return found


def test_gradients_are_those_of_finite_differences(model: Surrogate) -> None:
    observables: dict[str, Observable] = {
        "S1": lambda s: s.singlets.energies[0, 0],
        "S3": lambda s: s.singlets.energies[0, 2],
        "T1": lambda s: s.triplets.energies[0, 0],
        "T2": lambda s: s.triplets.energies[0, 1],
        "homo": lambda s: s.orbitals.homo[0],
        "charge": lambda s: s.charges[0, 1],
        "dipole": lambda s: s.dipole[0, 0],
    }
    for seed, atoms in enumerate((distorted("CH3CHO"), formate())):
        for name, (slope, gradient) in slope_and_gradient(model, atoms, observables, seed).items():
            assert gradient == pytest.approx(slope, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("name", SYMMETRIC)
def test_gradients_of_symmetric_molecules(model: Surrogate, name: str) -> None:
    """Finite for every state; exact for what has a derivative, the sum over a degenerate set."""
    atoms = SYMMETRIC[name]()
    with torch.no_grad():
        solution = model(model.graph([atoms]), 10)
    observables: dict[str, Observable] = {}
    for kind in ("singlets", "triplets"):
        energies = getattr(solution, kind).energies[0].numpy()
        # Sets that the last state asked for may have cut apart are left out.
        pairs = [s for s in degenerate_sets(energies)[:-1] if len(s) == 2]
        isolated = [
            s
            for s in pairs
            # No other may cross within the steps: some move by 50 eV/Å.
            if energies[s[1] + 1] - energies[s[1]] > 0.25
            and (s[0] == 0 or energies[s[0]] - energies[s[0] - 1] > 0.25)
        ]
        for pair in isolated:

            def total(s: Solution, kind: str = kind, pair: list[int] = pair) -> Tensor:
                energies: Tensor = getattr(s, kind).energies
                return energies[0, pair].sum()

            observables[f"{kind} {pair}"] = total
    assert len(observables) >= 2
    for what, (slope, gradient) in slope_and_gradient(model, atoms, observables, 5).items():
        assert gradient == pytest.approx(slope, rel=1e-5, abs=1e-6), what

    graph = model.graph([atoms])
    positions = graph.positions.clone().requires_grad_()
    solution = model(replace(graph, positions=positions), 10)
    values = [
        *solution.singlets.energies[0],
        *solution.triplets.energies[0],
        solution.singlets.oscillator_strengths.sum(),
        solution.orbitals.energies.sum(),
        solution.charges[0, 0],
        solution.dipole.sum(),
    ]
    for value in values:
        (gradient,) = torch.autograd.grad(value, positions, retain_graph=True)
        assert gradient.isfinite().all()
        # Nothing here depends on where the molecule is (the dipole of a neutral one neither).
        assert gradient.sum(0).abs().max() < 1e-7


def test_every_weight_has_a_finite_gradient(small: Surrogate) -> None:
    structures = [distorted("CH3CHO"), benzene(), nitrogen(), distorted("CH3SH")]
    structures += [distorted("CH3Cl"), molecule("CH3CN"), Atoms("HF", positions=np.eye(2, 3))]
    solution = small(small.graph(structures), 4)
    loss = solution.singlets.energies.nansum() + solution.triplets.energies.nansum()
    loss = loss + solution.dipole.square().sum() + solution.singlets.oscillator_strengths.sum()
    gradients = torch.autograd.grad(loss, list(small.parameters()))
    for (name, _), gradient in zip(small.named_parameters(), gradients, strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


# ---- many structures --------------------------------------------------------------------------

NAMES = ("H2O", "CH3CHO", "HCN", "H2O2", "CH3SH", "H2CO", "C2H4", "CH3Cl", "NH3", "C2H2")


def assorted() -> list[Atoms]:
    return [distorted(name, seed) for seed, name in enumerate(NAMES)]


BAD = {
    "helium": (Atoms("He"), "element the model does not know"),
    "methyl": (molecule("CH3"), "odd number"),
    "crystal": (Atoms("N2", [[0, 0, 0], [0, 0, 1.1]], cell=[9, 9, 9], pbc=True), "periodic"),
    "nothing": (Atoms(), "no atoms"),
    "fused": (Atoms("N2", [[0, 0, 0], [0, 0, 0.1]]), "apart"),
    "lost": (Atoms("N2", [[0, 0, 0], [0, 0, np.nan]]), "finite"),
}


@pytest.mark.parametrize("window", [1, 3, 64])
def test_many_are_what_each_is_alone(model: Surrogate, window: int) -> None:
    model = model.with_batching(Batching(window=window))
    structures = assorted()
    if window == 3:
        structures.reverse()
    found = list(model.predict_many(iter(structures), 6))
    assert len(found) == len(structures)
    for result, atoms in zip(found, structures, strict=True):
        assert isinstance(result, Result)
        assert result.atoms == atoms
        alone = model.predict(atoms, 6)
        # None has degenerate states, which n_states could cut apart.
        assert_same(result, alone, 1e-10)


def test_batches_are_bounded_and_hold_everyone_once(
    small: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    structures = assorted() * 2
    seen: list[int] = []
    solve = Surrogate._solve

    def counted(self: Surrogate, batch: list[Atoms], *wanted: Any) -> Any:
        seen.append(len(batch))
        orbitals = [int(np.where(a.numbers == 1, 1, 4).sum()) for a in batch]
        assert len(batch) == 1 or len(batch) * (max(orbitals) / 2) ** 2 <= 100
        return solve(self, batch, *wanted)

    monkeypatch.setattr(Surrogate, "_solve", counted)
    small = small.with_batching(Batching(batch_singles=100))
    found = list(small.predict_many(structures, 2))
    assert sum(seen) == len(found) == 20
    assert len(seen) > 4


def test_failures_stand_in_their_place(small: Surrogate) -> None:
    small = small.with_batching(Batching(window=5))
    good = assorted()
    structures: list[Atoms] = []
    for name, atoms in zip([*BAD, *[None] * 4], good, strict=True):
        structures.append(atoms)
        if name is not None:
            structures.append(BAD[name][0].copy())
    structures[1].info["name"] = "a balloon"
    found = list(small.predict_many(structures, 3, errors="return"))
    assert len(found) == len(structures)
    for index, (name, (_, reason)) in enumerate(BAD.items()):
        failure = found[2 * index + 1]
        assert isinstance(failure, Failure)
        assert reason in failure.reason
        expected = "a balloon" if name == "helium" else BAD[name][0].get_chemical_formula()
        assert failure.name == expected
    kept = [r for r in found if isinstance(r, Result)]
    for result, atoms in zip(kept, good, strict=True):
        assert_same(result, small.predict(atoms, 3), 1e-10)


@pytest.mark.parametrize("name", BAD)
def test_bad_structures_are_refused_when_their_turn_comes(small: Surrogate, name: str) -> None:
    atoms, reason = BAD[name]
    with pytest.raises(StructureError, match=reason):
        small.predict(atoms)
    stream = small.predict_many([nitrogen(), atoms, nitrogen()], 2)
    assert isinstance(next(stream), Result)
    with pytest.raises(StructureError, match=reason):
        next(stream)


def test_structures_are_read_as_they_are_needed(small: Surrogate) -> None:
    small = small.with_batching(Batching(window=4))
    taken = 0

    def endless() -> Iterator[Atoms]:
        nonlocal taken
        while True:
            taken += 1
            yield nitrogen()

    stream = small.predict_many(endless(), 1)
    assert taken == 0
    for count in range(1, 7):
        next(stream)
        assert taken == 4 * -(-count // 4)


def test_wrong_arguments_are_refused_at_once(small: Surrogate) -> None:
    with pytest.raises(ValueError, match="n_states is 0: expected at least 1"):
        small.predict(nitrogen(), 0)
    with pytest.raises(ValueError, match="n_states is -1: expected at least 1"):
        small.predict_many([nitrogen()], -1)
    with pytest.raises(ValueError, match="errors must be 'raise' or 'return', got 'ignore'"):
        small.predict_many([nitrogen()], errors="ignore")  # type: ignore[arg-type]
    assert list(small.predict_many([])) == []


def test_the_input_is_left_alone(small: Surrogate) -> None:
    atoms = formate()
    atoms.info["name"] = "formate"
    atoms.set_array("tags", np.arange(4))
    atoms.set_constraint(FixAtoms([0]))
    before = atoms.copy()
    results = [small.predict(atoms), *small.predict_many([atoms, atoms])]
    assert atoms == before
    assert atoms.info == before.info
    assert atoms.arrays.keys() == before.arrays.keys()
    assert all(np.array_equal(atoms.arrays[k], before.arrays[k]) for k in before.arrays)
    # And a result keeps its structure when the user's own moves on.
    atoms.positions += 1.0
    atoms.info["charge"] = 5
    for result in results:
        assert result.atoms == before
        assert result.atoms.info["charge"] == -1


# ---- edges ------------------------------------------------------------------------------------


def test_more_states_than_there_are(model: Surrogate) -> None:
    atoms = nitrogen()
    alone, hydrogen = model.predict(atoms, ALL), Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    assert len(alone.singlets) == len(alone.triplets) == 5 * 3
    many = list(model.predict_many([atoms, hydrogen, benzene()], 40))
    assert [len(r.singlets) for r in many if isinstance(r, Result)] == [15, 1, 40]
    assert [len(r.triplets) for r in many if isinstance(r, Result)] == [15, 1, 40]
    assert isinstance(many[0], Result)
    assert_same(many[0], alone, 1e-10)


@pytest.mark.parametrize(("symbol", "charge"), [("F", -1), ("Cl", -1), ("H", -1)])
def test_a_filled_shell_without_a_virtual_orbital_is_refused(
    model: Surrogate, symbol: str, charge: int
) -> None:
    atoms = Atoms(symbol, info={"charge": charge})
    with pytest.raises(StructureError, match="there is no virtual orbital"):
        model.predict(atoms)
    first, neighbour, last = model.predict_many([atoms, nitrogen(), atoms], errors="return")
    for found in (first, last):
        assert isinstance(found, Failure)
        assert "no virtual orbital" in found.reason
    assert isinstance(neighbour, Result)
    assert len(neighbour.singlets) == 10


def test_single_atoms_that_are_no_closed_shell_are_refused(small: Surrogate) -> None:
    for atoms, reason in (
        (Atoms("He"), "does not know"),
        (Atoms("F"), "odd number"),
        (Atoms("H", info={"charge": 1}), "has 0 valence electrons"),
        (Atoms("F", info={"charge": -3}), "10 valence electrons"),
    ):
        with pytest.raises(StructureError, match=reason):
            small.predict(atoms)


def test_an_unstable_ground_state_is_said_to_be_one() -> None:
    """Strong exchange and no training: formaldehyde's orbitals would rather mix."""
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"mean_field": "far"})
    model = Surrogate(EffectiveHamiltonian(config).double())
    unstable, stable = molecule("H2CO"), nitrogen()
    message = r"closed-shell ground state of CH2O is unstable.* check the structure"
    with pytest.raises(InstabilityError, match=message):
        model.predict(unstable)
    found = list(model.predict_many([stable, unstable, stable], 3, errors="return"))
    assert [type(x) for x in found] == [Result, Failure, Result]
    assert isinstance(found[1], Failure)
    assert "unstable" in found[1].reason
    for result in (found[0], found[2]):
        assert isinstance(result, Result)
        assert_same_states(result.singlets, model.predict(stable, 3).singlets, 1e-9)
    stream = model.predict_many([stable, unstable])
    next(stream)
    with pytest.raises(InstabilityError, match="CH2O"):
        next(stream)


def test_a_structure_that_breaks_its_batch_breaks_no_other(
    small: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong inside, the others of the batch are solved without it."""
    graph = Surrogate.graph
    broken = distorted("HCN")

    def fail(self: Surrogate, structures: list[Atoms]) -> Any:
        if any(atoms == broken for atoms in structures):
            raise RuntimeError("the eigensolver did not converge")
        return graph(self, structures)

    monkeypatch.setattr(Surrogate, "graph", fail)
    found = list(small.predict_many([nitrogen(), broken, nitrogen()], 2, errors="return"))
    assert [type(x) for x in found] == [Result, Failure, Result]
    with pytest.raises(RuntimeError, match="did not converge"):
        small.predict(broken)


# ---- files ------------------------------------------------------------------------------------


def test_a_saved_model_is_the_same_model(small: Surrogate, tmp_path: Any) -> None:
    path = tmp_path / "model.safetensors"
    esml.save_model(small, path)
    restored = esml.load_model(path, dtype=torch.float64)
    assert restored.metadata == small.metadata
    assert restored.dtype == torch.float64
    assert not restored.training
    one, other = (m.predict(formate(), 5) for m in (small, restored))
    np.testing.assert_array_equal(one.singlets.energies, other.singlets.energies)
    np.testing.assert_array_equal(one.hamiltonian, other.hamiltonian)
    assert esml.load_model(str(path)).dtype == torch.float32
    assert {p.dtype for p in esml.load_model(path).parameters()} == {torch.float32}


def test_models_that_do_not_fit_are_refused(small: Surrogate, tmp_path: Any) -> None:
    with pytest.raises(CheckpointError, match=r"no model 'defualt': expected one of .*default"):
        esml.load_model("defualt")
    state = dict(small.hamiltonian.state_dict())
    config = small.hamiltonian.config.model_dump()
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, Checkpoint(state, {**config, "chanels": 3}))
    with pytest.raises(CheckpointError, match=r"does not fit this version.*chanels"):
        esml.load_model(path)
    del state["exponents"]
    save_checkpoint(path, Checkpoint(state, config))
    with pytest.raises(CheckpointError, match=r"does not fit this version.*exponents"):
        esml.load_model(path)


def test_the_shipped_model_is_there_and_says_what_it_is() -> None:
    assert "default" in esml.available_models()
    model = esml.load_model()
    assert model.dtype == torch.float32
    for key in ("name", "level", "n_structures", "n_molecules", "elements", "validation"):
        assert model.metadata[key], key
    rmse = model.metadata["validation_rmse_eV"]
    assert 0 < rmse["singlets"] < 1
    assert 0 < rmse["triplets"] < 1


def test_single_precision_is_enough_for_energies() -> None:
    """Differences far below the model's own error."""
    single, double = esml.load_model(), esml.load_model(dtype=torch.float64)
    for atoms in (benzene(), distorted("CH3CHO"), formate()):
        one, other = (m.predict(atoms, 8) for m in (single, double))
        assert one.singlets.energies.dtype == np.float64
        np.testing.assert_allclose(one.orbital_energies, other.orbital_energies, atol=1e-4)
        np.testing.assert_allclose(one.singlets.energies, other.singlets.energies, atol=1e-4)
        np.testing.assert_allclose(one.triplets.energies, other.triplets.energies, atol=1e-4)
        np.testing.assert_allclose(one.charges, other.charges, atol=1e-5)


def test_triplets_may_be_fewer_and_still_guard_the_ground_state() -> None:
    shipped, atoms = esml.load_model(), molecule("H2CO")
    full, few = shipped.predict(atoms, 5), shipped.predict(atoms, 5, n_triplets=1)
    assert len(few.triplets) == 1
    assert few.triplets.energies[0] == pytest.approx(full.triplets.energies[0], abs=1e-5)
    assert few.singlets.energies == pytest.approx(full.singlets.energies, abs=1e-5)
    (many,) = shipped.predict_many([atoms], 5, n_triplets=2)
    assert len(many.triplets) == 2
    with pytest.raises(ValueError, match="n_triplets is 0: expected at least 1"):
        shipped.predict(atoms, n_triplets=0)
