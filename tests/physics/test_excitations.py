from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.excitations import Excitations, InstabilityError, singlets, triplets
from esml.physics.interaction import ONE_CENTRE, Interaction, distances, gamma
from esml.physics.orbitals import diagonalize
from esml.physics.response import Kind, Response
from esml.physics.solvers.strategy import DEFAULT
from esml.units import HARTREE

MOLECULES = [[6, 1, 1, 8], [7, 1, 1, 1], [16, 6], [1, 1], [6, 7, 1]]
VALENCE = {1: 1, 6: 4, 7: 5, 8: 6, 16: 6}


@dataclass
class System:
    """A random but physically shaped batch: wide gaps, positive couplings, r with its R_A."""

    layout: OrbitalLayout
    hamiltonian: Tensor
    dipole_operator: Tensor
    interaction: Interaction

    def response(self, chunk: int = DEFAULT.chunk) -> Response:
        orbitals = diagonalize(self.hamiltonian, self.layout.n_orbitals, self.layout.n_occupied)
        return Response(orbitals, self.interaction, self.layout, chunk)

    def singlets(self, n_states: int | None = None) -> Excitations:
        return singlets(self.response(), self.dipole_operator, n_states)

    def triplets(self, n_states: int | None = None) -> Excitations:
        return triplets(self.response(), n_states)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def lay_out(molecules: list[list[int]]) -> OrbitalLayout:
    numbers = torch.tensor([z for molecule in molecules for z in molecule])
    sizes = torch.tensor([len(molecule) for molecule in molecules])
    electrons = torch.tensor([sum(VALENCE[z] for z in molecule) for molecule in molecules])
    molecule = torch.repeat_interleave(torch.arange(len(molecules)), sizes)
    return OrbitalLayout.build(numbers, molecule, electrons % 2)


def random_system(molecules: list[list[int]], seed: int = 0) -> System:
    layout = lay_out(molecules)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    m, k, n = layout.n_molecules, layout.n_atoms_max, layout.n_max
    mask = layout.orbital_mask[:, :, None] & layout.orbital_mask[:, None, :]
    matrix, *r = ((x + x.mT) * mask for x in normal(m, 4, n, n).unbind(1))
    # A wide gap between occupied and virtual space keeps the ground state stable.
    hamiltonian = matrix.clone()
    for i in range(m):
        size, occupied = int(layout.n_orbitals[i]), int(layout.n_occupied[i])
        _, c = torch.linalg.eigh(matrix[i, :size, :size])
        step = torch.where(torch.arange(size) < occupied, -8.0, 6.0).double()
        hamiltonian[i, :size, :size] += c @ torch.diag(step) @ c.mT
    distance = distances(2.0 * normal(m, k, 3))
    hardness = uniform(5, 9, m, k)
    mean = 0.5 * (hardness[:, :, None] + hardness[:, None, :])
    ranges = (
        (0.2, 2.0), (0.1, 1.0), (-2.0, -0.5), (-1.0, -0.1), (-1.0, -0.1), (0.2, 1), (0.1, 0.5),
    )  # fmt: skip
    relaxation = 0.3 * normal(m, n, n)
    return System(
        layout,
        hamiltonian,
        0.4 * torch.stack(r, 1),
        Interaction(
            gamma(distance, mean), gamma(distance, 0.8 * mean, 0.65),
            *(uniform(low, high, m, k) for low, high in ranges),
            relaxation=(relaxation + relaxation.mT) * mask,
            virtual_scale=torch.tensor(-0.15, dtype=torch.float64),
        ),
    )  # fmt: skip


def parameters(interaction: Interaction) -> list[Tensor]:
    return [getattr(interaction, field.name) for field in fields(interaction)]


def converted(
    interaction: Interaction,
    change: Callable[[Tensor], Tensor],
    orbitals: Callable[[Tensor], Tensor],
) -> Interaction:
    """``change`` of all that belongs to atoms, ``orbitals`` of what belongs to orbitals."""
    atoms = {
        field.name: change(getattr(interaction, field.name))
        for field in fields(interaction)
        if field.name not in ("relaxation", "virtual_scale")
    }
    return replace(interaction, **atoms, relaxation=orbitals(interaction.relaxation))


def take(system: System, molecule: int, numbers: list[int]) -> System:
    """One molecule of a batch, without padding."""
    layout = lay_out([numbers])
    n, k, m = layout.n_max, layout.n_atoms_max, slice(molecule, molecule + 1)
    return System(
        layout,
        system.hamiltonian[m, :n, :n],
        system.dipole_operator[m, :, :n, :n],
        converted(
            system.interaction,
            lambda x: x[(m, *(slice(k),) * (x.dim() - 1))],
            lambda x: x[m, :n, :n],
        ),
    )


# ---- an independent evaluation: explicit loops over orbitals and atoms ------------------------


def explicit_relaxed_virtuals(system: System, molecule: int) -> np.ndarray:
    """(1 + σ) ε_a δ_ab + Σ_μν C_μa D_μν C_νb of one molecule, element by element."""
    layout, interaction = system.layout, system.interaction
    n, o = int(layout.n_orbitals[molecule]), int(layout.n_occupied[molecule])
    orbitals = diagonalize(system.hamiltonian, layout.n_orbitals, layout.n_occupied)
    c = orbitals.coefficients[molecule, :n, o:n].numpy()
    scale = 1.0 + interaction.virtual_scale.item()
    fock = np.diag(scale * orbitals.energies[molecule, o:n].numpy())
    for mu, nu in product(range(n), repeat=2):
        relaxation = interaction.relaxation[molecule, mu, nu].item()
        fock += relaxation * np.outer(c[mu], c[nu])
    return fock


def explicit_matrices(system: System, molecule: int) -> dict[str, np.ndarray]:
    """A + B, A − B and the triplet A of one molecule, term by term as the formulas read."""
    layout = system.layout
    n, o = int(layout.n_orbitals[molecule]), int(layout.n_occupied[molecule])
    orbitals = diagonalize(system.hamiltonian, layout.n_orbitals, layout.n_occupied)
    c = orbitals.coefficients[molecule, :n, :n].numpy()
    energies = orbitals.energies[molecule, :n].numpy()
    v = n - o
    virtuals = explicit_relaxed_virtuals(system, molecule)
    p = {
        f.name: getattr(system.interaction, f.name)[molecule].numpy()
        for f in fields(Interaction)
        if f.name != "virtual_scale"
    }

    atoms = (layout.molecule == molecule).nonzero()[:, 0]
    multipoles = np.zeros((len(atoms), n, n, 9))
    for atom, place in enumerate(atoms):
        own = layout.slot_orbital[place][layout.slot_mask[place]].numpy()
        for (s, mu), (t, nu) in product(enumerate(own), enumerate(own)):
            multipoles[atom] += np.einsum("p,q,c->pqc", c[mu], c[nu], ONE_CENTRE[s, t].numpy())

    def integral(left: np.ndarray, right: np.ndarray, name: str) -> float:
        """Σ over atoms of the multipoles (K, 9) of two orbital pairs."""
        total = 0.0
        for a in range(len(atoms)):
            if name == "triplet":
                total += p["triplet_monopole"][a] * left[a, 0] * right[a, 0]
            else:
                pairs = p["coulomb" if name == "singlet" else "exchange"]
                for b in range(len(atoms)):
                    total += left[a, 0] * pairs[a, b] * right[b, 0]
            total += p[f"{name}_dipole"][a] * (left[a, 1:4] @ right[a, 1:4])
            total += p[f"{name}_quadrupole"][a] * (left[a, 4:] @ right[a, 4:])
        return total

    single = list(product(range(o), range(o, n)))
    A, B, triplet = (np.zeros((o * v, o * v)) for _ in range(3))
    for (row, (i, a)), (column, (j, b)) in product(enumerate(single), enumerate(single)):
        q = multipoles
        delta = virtuals[a - o, b - o] * (i == j) - energies[i] * (row == column)
        coulomb = 2 * integral(q[:, i, a], q[:, j, b], "singlet")
        exchange = integral(q[:, i, j], q[:, a, b], "exchange")
        A[row, column] = delta + coulomb - exchange
        B[row, column] = coulomb - integral(q[:, i, b], q[:, j, a], "exchange")
        triplet[row, column] = delta + 2 * integral(q[:, i, a], q[:, j, b], "triplet") - exchange
    return {"A+B": A + B, "A-B": A - B, "A": A, "triplet": triplet}


@pytest.mark.parametrize(
    "molecules", [[[6, 1, 1, 8]], [[7, 1, 1, 1], [16, 6]], [[1, 1, 6], [1, 1, 1, 1, 7]]]
)
def test_matrices_are_those_of_the_formulas(molecules: list[list[int]]) -> None:
    system = random_system(molecules, seed=1)
    response = system.response()
    for kind in get_args(Kind):
        dense = response.dense(kind)
        for m in range(len(molecules)):
            singles = response.singles_mask[m].flatten()
            own = dense[m][singles][:, singles].numpy()
            np.testing.assert_allclose(own, explicit_matrices(system, m)[kind], atol=1e-12)
            assert not dense[m][~singles].any()
            assert not dense[m][:, ~singles].any()


def test_application_is_the_dense_matrix_in_chunks_too() -> None:
    system = random_system(MOLECULES)
    response, in_chunks = system.response(), system.response(chunk=5000)
    trial = torch.randn(len(MOLECULES), 3, *response.singles_mask.shape[1:], dtype=torch.float64)
    trial = trial * response.singles_mask[:, None]
    for kind in get_args(Kind):
        whole = response.dense(kind)
        expected = (whole @ trial.flatten(2).mT).mT
        assert torch.allclose(response.apply(trial, kind).flatten(2), expected, atol=1e-12)
        assert torch.allclose(in_chunks.dense(kind), whole, atol=1e-13)


# ---- results known by hand --------------------------------------------------------------------


def test_two_orbitals_by_hand() -> None:
    """H2: C = (1, ±1)/√2, so K = ½(γ₀ − γ₁), J(gg,uu) = ½(γᴶ₀ + γᴶ₁), J(gu,gu) = ½(γᴶ₀ − γᴶ₁).

    The levels are e ∓ t, so that Δ = (1 + σ)(e + t) + D − (e − t). Hence A − B = Δ − γᴶ₁,
    A + B = Δ + 2(γ₀ − γ₁) − γᴶ₀ and ω² = (A − B)(A + B), while the triplet is at
    Δ + t_m − ½(γᴶ₀ + γᴶ₁).
    """
    e, t, g0, g1, j0, j1, t_m, d = -4.0, 6.0, 12.0, 9.0, 5.0, 4.0, -1.5, 0.7
    relaxation, scale = -1.2, -0.1
    two = torch.ones(1, 2, dtype=torch.float64)
    system = System(
        lay_out([[1, 1]]),
        torch.tensor([[[e, -t], [-t, e]]], dtype=torch.float64),
        d * torch.tensor([[[[-1.0, 0], [0, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]]).double(),
        Interaction(
            torch.tensor([[[g0, g1], [g1, g0]]], dtype=torch.float64),
            torch.tensor([[[j0, j1], [j1, j0]]], dtype=torch.float64),
            *(two, two, t_m * two, two, two, two, two),
            relaxation * torch.eye(2, dtype=torch.float64)[None],
            torch.tensor(scale, dtype=torch.float64),
        ),
    )
    delta = (1 + scale) * (e + t) + relaxation - (e - t)
    minus, plus = delta - j1, delta + 2 * (g0 - g1) - j0
    omega = math.sqrt(minus * plus)
    singlet = system.singlets()
    assert singlet.energies.item() == pytest.approx(omega, rel=1e-13)
    # X + Y = [(A−B)/ω]^½ and ⟨g|x|u⟩ = d: μ = √2 d [(A−B)/ω]^½.
    moment = math.sqrt(2 * minus / omega) * d
    assert abs(singlet.transition_dipoles[0, 0, 0].item()) == pytest.approx(moment, rel=1e-13)
    strength = 2 / 3 * omega / HARTREE * moment**2
    assert singlet.oscillator_strengths.item() == pytest.approx(strength, rel=1e-13)
    triplet = system.triplets()
    assert triplet.energies.item() == pytest.approx(delta + t_m - 0.5 * (j0 + j1), rel=1e-13)
    assert triplet.X.abs().item() == pytest.approx(1)


def test_without_interaction_excitations_are_orbital_energy_differences() -> None:
    system = random_system(MOLECULES)
    system.interaction = Interaction(*(torch.zeros_like(x) for x in parameters(system.interaction)))
    response = system.response()
    energies = response.orbitals.energies
    for found in (system.singlets(), system.triplets()):
        for m in range(len(MOLECULES)):
            n, o = int(system.layout.n_orbitals[m]), int(system.layout.n_occupied[m])
            expected = (energies[m, o:n] - energies[m, :o, None]).flatten().sort().values
            assert torch.allclose(found.energies[m, : len(expected)], expected, atol=1e-12)


# ---- identities of the linear-response problem ------------------------------------------------


def test_response_identities() -> None:
    system = random_system(MOLECULES, seed=2)
    response, found = system.response(), system.singlets()
    assert found.stable.all()
    for m in range(len(MOLECULES)):
        singles = response.singles_mask[m].flatten()
        count = int(found.n_available[m])
        T = (found.X + found.Y)[m, :count].flatten(1)[:, singles]
        U = (found.X - found.Y)[m, :count].flatten(1)[:, singles]
        omega = found.energies[m, :count]
        plus, minus = (response.dense(k)[m][singles][:, singles] for k in ("A+B", "A-B"))
        identity = torch.eye(count, dtype=torch.float64)
        assert torch.allclose(T @ U.mT, identity, atol=1e-11)
        assert torch.allclose(T.mT @ U, identity, atol=1e-11)
        assert torch.allclose(plus @ T.mT, U.mT * omega, atol=1e-10)
        assert torch.allclose(minus @ U.mT, T.mT * omega, atol=1e-10)
        assert torch.allclose(T.mT @ omega.diag() @ T, minus, atol=1e-10)
        assert torch.allclose(U.mT @ omega.diag() @ U, plus, atol=1e-10)
        assert (omega.diff() > -1e-10).all()


def test_strengths_sum_to_a_ground_state_expectation_value() -> None:
    """Σ f = (4/3) Σ_x r_xᵀ (A − B) r_x, from completeness of the states."""
    system = random_system(MOLECULES, seed=3)
    response, found = system.response(), system.singlets()
    o, v = response.orbitals.occupied, response.orbitals.virtual
    moments = torch.einsum("mui,mxuv,mva->mxia", o, system.dipole_operator, v)
    expected = 4 / 3 / HARTREE * (moments * response.apply(moments, "A-B")).sum((1, 2, 3))
    assert torch.allclose(found.oscillator_strengths.sum(1), expected, rtol=1e-11)


def test_triplets_are_eigenvectors() -> None:
    system = random_system(MOLECULES, seed=2)
    response, found = system.response(), system.triplets(5)
    applied = response.apply(found.X, "triplet")
    scaled = torch.nan_to_num(found.energies)[:, :, None, None] * found.X
    assert torch.allclose(applied, scaled, atol=1e-11)
    norm = torch.einsum("msia,mtia->mst", found.X, found.X)
    assert torch.allclose(norm, torch.diag_embed(found.mask.double()), atol=1e-12)
    assert not found.Y.any()
    assert not found.transition_dipoles.any()
    assert not found.oscillator_strengths.any()


def test_transition_density_gives_the_transition_dipole() -> None:
    system = random_system(MOLECULES)
    found, orbitals = system.singlets(4), system.response().orbitals
    density = found.transition_density(orbitals)
    assert density.shape == (len(MOLECULES), 4, system.layout.n_max, system.layout.n_max)
    moments = 2**0.5 * torch.einsum("msuv,mxuv->msx", density, system.dipole_operator)
    # Signs agree: both come from the same amplitudes and, here, the same orbitals.
    assert torch.allclose(moments, found.transition_dipoles, atol=1e-12)


# ---- what must not change the answer ----------------------------------------------------------


def same_states(one: Excitations, other: Excitations, tolerance: float = 1e-10) -> None:
    """Energies, strengths and lengths of transition dipoles agree, state by state."""
    options = {"atol": tolerance, "rtol": tolerance, "equal_nan": True}
    assert torch.allclose(one.energies, other.energies, **options)
    assert torch.allclose(one.oscillator_strengths, other.oscillator_strengths, **options)
    lengths = (x.transition_dipoles.norm(dim=2) for x in (one, other))
    assert torch.allclose(*lengths, **options)


def test_a_batch_gives_what_single_molecules_give() -> None:
    system = random_system(MOLECULES, seed=4)
    for solve in (System.singlets, System.triplets):
        batch = solve(system, 6)
        for m, numbers in enumerate(MOLECULES):
            single = solve(take(system, m, numbers), 6)
            picked = [getattr(batch, f.name)[m : m + 1] for f in fields(Excitations)]
            same_states(single, Excitations(*picked))
            assert int(single.n_available) == int(batch.n_available[m])


def test_rotation_changes_no_energy_and_turns_the_dipoles() -> None:
    system = random_system([[6, 8, 1], [16, 7]], seed=5)
    layout = system.layout
    matrix = torch.from_numpy(Rotation.random(random_state=1).as_matrix())
    turn = torch.diag_embed(torch.ones(2, layout.n_max, dtype=torch.float64))
    for molecule, slot, mask in zip(
        layout.molecule, layout.slot_orbital, layout.slot_mask, strict=True
    ):
        if mask.all():
            turn[molecule, slot[1:, None], slot[None, 1:]] = matrix
    rotated = replace(
        system,
        hamiltonian=turn @ system.hamiltonian @ turn.mT,
        dipole_operator=torch.einsum(
            "xy,mui,myij,mvj->mxuv", matrix, turn, system.dipole_operator, turn
        ),
        interaction=replace(
            system.interaction, relaxation=turn @ system.interaction.relaxation @ turn.mT
        ),
    )
    before, after = system.singlets(), rotated.singlets()
    same_states(before, after)
    turned = before.transition_dipoles @ matrix.mT
    sign = torch.sign((turned * after.transition_dipoles).sum(2, keepdim=True))
    assert torch.allclose(after.transition_dipoles, sign * turned, atol=1e-9)
    same_states(system.triplets(), rotated.triplets())


def test_order_of_atoms_does_not_matter() -> None:
    numbers, order = [6, 1, 8, 7], [2, 3, 0, 1]
    system = random_system([numbers], seed=6)
    other = lay_out([[numbers[a] for a in order]])
    slots = system.layout.slot_orbital[order][other.slot_mask]
    permuted = System(
        other,
        system.hamiltonian[:, slots][:, :, slots],
        system.dipole_operator[:, :, slots][:, :, :, slots],
        converted(
            system.interaction,
            lambda x: x[:, order][:, :, order] if x.dim() == 3 else x[:, order],
            lambda x: x[:, slots][:, :, slots],
        ),
    )
    same_states(system.singlets(), permuted.singlets())
    same_states(system.triplets(), permuted.triplets())


def test_far_molecules_have_the_union_of_their_states() -> None:
    """And charge-transfer states at exactly ε'_a − ε_i, dark (ε' of the relaxed virtuals)."""
    parts = [[6, 8], [7, 1]]
    both = random_system(parts, seed=7)
    single = [take(both, m, numbers) for m, numbers in enumerate(parts)]

    def join(matrices: list[Tensor]) -> Tensor:
        return torch.block_diag(*matrices)[None]

    operators = [join([s.dipole_operator[0, x] for s in single]) for x in range(3)]
    united = System(
        lay_out([[*parts[0], *parts[1]]]),
        join([s.hamiltonian[0] for s in single]),
        torch.stack(operators, 1),
        Interaction(
            *(
                join([x[0] for x in pair]) if pair[0].dim() == 3 else torch.cat(pair, 1)
                for pair in zip(*(parameters(s.interaction)[:-1] for s in single), strict=True)
            ),
            virtual_scale=both.interaction.virtual_scale,
        ),
    )
    # Aufbau of the pair must be that of the parts, or the ground state would transfer charge.
    orbitals = [s.response().orbitals for s in single]
    assert max(o.homo.item() for o in orbitals) < min(o.lumo.item() for o in orbitals)
    transfer = []
    for donor, acceptor in ((0, 1), (1, 0)):
        i = orbitals[donor].energies[0, : int(orbitals[donor].n_occupied)]
        relaxed = explicit_relaxed_virtuals(single[acceptor], 0)
        a = torch.from_numpy(np.linalg.eigvalsh(relaxed))
        transfer.append((a - i[:, None]).flatten())
    for solve in (System.singlets, System.triplets):
        local = [solve(s) for s in single]
        expected = torch.cat([*(x.energies[0] for x in local), *transfer]).sort().values
        found = solve(united)
        assert torch.allclose(found.energies[0], expected, atol=1e-10)
        total = sum(x.oscillator_strengths.sum().item() for x in local)
        assert found.oscillator_strengths.sum().item() == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions(dtype: torch.dtype) -> None:
    system = random_system(MOLECULES, seed=8)
    other = System(
        system.layout,
        system.hamiltonian.to(dtype),
        system.dipole_operator.to(dtype),
        Interaction(*(x.to(dtype) for x in parameters(system.interaction))),
    )
    found = other.singlets(5)
    assert found.energies.dtype == found.oscillator_strengths.dtype == dtype
    tolerance = 1e4 * torch.finfo(dtype).eps
    reference = system.singlets(5).energies
    options = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
    assert torch.allclose(found.energies.double(), reference, **options)
    reference = system.triplets(5).energies
    assert torch.allclose(other.triplets(5).energies.double(), reference, **options)


# ---- gradients --------------------------------------------------------------------------------


def assert_gradients(function: Callable[..., Tensor], arguments: list[Tensor]) -> None:
    """Compare all gradients of a scalar with central differences along random changes."""
    arguments = [x.detach().clone().requires_grad_() for x in arguments]
    gradients = torch.autograd.grad(function(*arguments), arguments, materialize_grads=True)
    generator = torch.Generator().manual_seed(11)
    step = 1e-3
    for which, gradient in enumerate(gradients):
        change = torch.randn(gradient.shape, generator=generator, dtype=gradient.dtype)
        if change.dim() >= 3:
            change = change + change.mT
        change = change / change.norm()

        def along(distance: float, which: int = which, change: Tensor = change) -> float:
            moved = list(arguments)
            moved[which] = arguments[which] + distance * change
            with torch.no_grad():
                return function(*moved).item()

        near, far = ((along(h) - along(-h)) / (2 * h) for h in (step, 2 * step))
        numeric = (4 * near - far) / 3  # Richardson: the error is O(step⁴)
        analytic = (gradient * change).sum().item()
        assert analytic == pytest.approx(numeric, rel=1e-8, abs=1e-8), which


@pytest.mark.parametrize("spin", ["singlets", "triplets"])
def test_energy_gradients(spin: str) -> None:
    system = random_system(MOLECULES[:3], seed=9)

    def observable(hamiltonian: Tensor, *interaction: Tensor) -> Tensor:
        changed = replace(system, hamiltonian=hamiltonian, interaction=Interaction(*interaction))
        energies = getattr(changed, spin)(4).energies
        assert isinstance(energies, Tensor)
        return (energies * torch.tensor([1.0, -0.3, 0.5, 0.2], dtype=torch.float64)).sum()

    assert_gradients(observable, [system.hamiltonian, *parameters(system.interaction)])


def ring(size: int) -> System:
    """A regular ring of hydrogens with the full symmetry of the polygon: degenerate states."""
    angle = 2 * math.pi * torch.arange(size, dtype=torch.float64) / size
    positions = 2.0 * torch.stack([angle.cos(), angle.sin(), 0 * angle], 1)
    distance = distances(positions[None])
    atoms = torch.arange(size)
    hopping = torch.zeros(size, size, dtype=torch.float64)
    hopping[atoms, (atoms + 1) % size] = -4.0
    one = torch.ones(1, size, dtype=torch.float64)
    return System(
        lay_out([[1] * size]),
        (hopping + hopping.mT)[None],
        torch.diag_embed(positions.mT)[None],
        Interaction(
            gamma(distance, torch.tensor(10.0)).double(),
            gamma(distance, torch.tensor(6.0), 0.65).double(),
            *(one, one, -one, one, one, one, one),
            0.7 * torch.eye(size, dtype=torch.float64)[None],
            torch.tensor(-0.1, dtype=torch.float64),
        ),
    )


def degenerate_sets(energies: Tensor) -> list[list[int]]:
    sets: list[list[int]] = []
    for state, energy in enumerate(energies.tolist()):
        if sets and energy - energies[sets[-1][0]].item() < 1e-8:
            sets[-1].append(state)
        else:
            sets.append([state])
    return sets


@pytest.mark.parametrize("spin", ["singlets", "triplets"])
@pytest.mark.parametrize("size", [6, 10])
def test_gradients_of_degenerate_states(size: int, spin: str) -> None:
    system = ring(size)
    sets = degenerate_sets(getattr(system, spin)().energies[0])
    assert any(len(states) == 2 for states in sets)
    # Only a whole degenerate set has a derivative; weight the sets differently.
    weight = torch.zeros(int(system.layout.n_occupied) ** 2, dtype=torch.float64)
    for number, states in enumerate(sets):
        weight[states] = math.cos(number)

    def observable(hamiltonian: Tensor, *interaction: Tensor) -> Tensor:
        changed = replace(system, hamiltonian=hamiltonian, interaction=Interaction(*interaction))
        energies = getattr(changed, spin)().energies
        assert isinstance(energies, Tensor)
        return (weight * energies).sum()

    assert_gradients(observable, [system.hamiltonian, *parameters(system.interaction)])


def test_a_single_degenerate_state_has_a_finite_gradient() -> None:
    system = ring(6)
    system.hamiltonian.requires_grad_()
    found = system.singlets(3)
    (found.energies.sum() + found.oscillator_strengths.sum()).backward()
    assert system.hamiltonian.grad is not None
    assert system.hamiltonian.grad.isfinite().all()


@pytest.mark.parametrize("spin", ["singlets", "triplets"])
def test_gradients_follow_from_the_response_not_from_the_mode(spin: str) -> None:
    """A response made without gradients has none; the energies are the same with and without."""
    system = random_system(MOLECULES[:2], seed=9)
    system.hamiltonian.requires_grad_()
    recorded = system.response()
    with torch.no_grad():
        plain = system.response()
        solve = partial(singlets, dipole_operator=system.dipole_operator)
        if spin == "triplets":
            solve = triplets
        without = solve(plain, n_states=3)
        unrecorded = solve(recorded, n_states=3)
    assert (recorded.requires_grad, plain.requires_grad) == (True, False)
    energies = solve(recorded, n_states=3).energies
    assert energies.requires_grad
    for found in (solve(plain, n_states=3), without, unrecorded):
        assert not found.energies.requires_grad
        torch.testing.assert_close(found.energies, energies.detach(), equal_nan=True)


def test_strength_gradients_hold_the_amplitudes_fixed() -> None:
    """The documented gradient: exact in r, and in H that of C_o, C_v and ω at fixed X, Y."""
    system = random_system(MOLECULES[:2], seed=10)
    fixed = system.singlets(3)

    def strengths(hamiltonian: Tensor, operator: Tensor) -> Tensor:
        found = replace(system, hamiltonian=hamiltonian, dipole_operator=operator).singlets(3)
        return found.oscillator_strengths.sum()

    operator = system.dipole_operator.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(strengths(system.hamiltonian, operator), operator)
    change = torch.randn_like(operator)
    step = 1e-4
    ends = [strengths(system.hamiltonian, operator + s * step * change) for s in (1, -1)]
    numeric = (ends[0] - ends[1]).item() / (2 * step)
    assert (gradient * change).sum().item() == pytest.approx(numeric, rel=1e-6)

    # A single pair of orbitals has no amplitudes that could respond beyond a factor; for H2 with
    # B = 0 that factor is 1 too, and the gradient is the whole one.
    pair = random_system([[1, 1]], seed=3)
    values = [torch.zeros_like(x) for x in parameters(pair.interaction)]
    pair.interaction = Interaction(*values)

    def whole(hamiltonian: Tensor) -> Tensor:
        return replace(pair, hamiltonian=hamiltonian).singlets().oscillator_strengths.sum()

    assert_gradients(whole, [pair.hamiltonian])
    assert not fixed.X.requires_grad


def test_functionals_are_stationary() -> None:
    system = random_system(MOLECULES[:2], seed=12)
    response, found = system.response(), system.singlets(3)
    T, U = found.X + found.Y, found.X - found.Y
    assert torch.allclose(response.singlet_functional(T, U), found.energies, atol=1e-12)
    noise = 1e-5 * torch.randn_like(T) * response.singles_mask[:, None]
    # Move T and U along the constraint TᵀU = 1: scale after the step.
    T, U = T + noise, U - noise
    U = U / (T * U).sum((2, 3), keepdim=True)
    assert torch.allclose(response.singlet_functional(T, U), found.energies, atol=1e-6)
    triplet = system.triplets(3)
    assert torch.allclose(response.triplet_functional(triplet.X), triplet.energies, atol=1e-12)


# ---- edges ------------------------------------------------------------------------------------


def test_more_states_than_there_are() -> None:
    system = random_system([[1, 1], [6, 8]])
    for found in (system.singlets(40), system.triplets(40)):
        assert found.energies.shape == (2, 40)
        assert found.X.shape[:2] == (2, 40)
        assert found.n_available.tolist() == [1, 15]
        for m, count in enumerate((1, 15)):
            assert found.mask[m].tolist() == [True] * count + [False] * (40 - count)
            assert found.energies[m, count:].isnan().all()
            assert not found.oscillator_strengths[m, count:].any()
            assert not found.X[m, count:].any()
        assert found.stable.all()


def test_a_molecule_without_virtual_orbitals_has_no_states() -> None:
    layout = OrbitalLayout.build(
        torch.tensor([1]), torch.tensor([0]), torch.tensor([-1])
    )  # hydride
    zero, one = torch.zeros(1, 1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    scale = torch.tensor(0.1, dtype=torch.float64)
    interaction = Interaction(zero, zero, *[one] * 7, zero, scale)
    system = System(layout, zero - 5, zero[:, None].expand(1, 3, 1, 1), interaction)
    for found in (system.singlets(2), system.triplets(2)):
        assert found.energies.isnan().all()
        assert found.n_available.tolist() == [0]
        assert found.stable.tolist() == [True]
        assert not found.oscillator_strengths.any()


def test_an_unstable_molecule_does_not_disturb_the_others() -> None:
    system = random_system([[6, 8], [6, 8], [6, 8], [1, 1]], seed=13)
    alone = take(system, 0, [6, 8]).singlets(3)
    values = [x.clone() for x in parameters(system.interaction)]
    values[1][1] += 60.0  # exchange beyond the gap: A − B is not positive definite
    values[0][2] -= 60.0 * torch.eye(2)  # on-site attraction in the Coulomb channel: A + B is not
    system.interaction = Interaction(*values)
    system.hamiltonian.requires_grad_()
    found = system.singlets(3)
    assert found.stable.tolist() == [True, False, False, True]
    assert found.energies[1:3].isnan().all()
    assert not found.oscillator_strengths[1:3].any()
    assert torch.allclose(found.energies[0], alone.energies[0], atol=1e-11)
    with pytest.raises(InstabilityError, match=r"unstable for molecule\(s\) 1, 2 of the batch"):
        found.require_stable()
    alone.require_stable()
    found.energies[found.mask].sum().backward()
    assert system.hamiltonian.grad is not None
    assert system.hamiltonian.grad.isfinite().all()
    assert not system.hamiltonian.grad[1:3].any()


def test_a_triplet_below_the_ground_state_is_marked_and_given() -> None:
    system = random_system([[6, 8], [6, 8]], seed=13)
    values = [x.clone() for x in parameters(system.interaction)]
    values[4][1] -= 40.0
    system.interaction = Interaction(*values)
    found = system.triplets(2)
    assert found.stable.tolist() == [True, False]
    assert found.energies[1, 0] < 0
    with pytest.raises(InstabilityError, match=r"molecule\(s\) 1 of the batch"):
        found.require_stable()


def test_arguments_that_do_not_fit_are_named() -> None:
    system = random_system([[6, 8], [1, 1]])
    response = system.response()
    with pytest.raises(ValueError, match="n_states must be at least 1, got 0"):
        triplets(response, 0)
    with pytest.raises(ValueError, match="kind must be"):
        response.apply(torch.zeros(2, 1, 5, 3).double(), "B")  # type: ignore[arg-type]
    single = Interaction(*(x.float() for x in parameters(system.interaction)))
    with pytest.raises(ValueError, match=r"interaction is torch\.float32"):
        Response(response.orbitals, single, system.layout)
    other = random_system([[6, 8, 1], [1, 1]])
    with pytest.raises(ValueError, match=r"orbitals must be \(2, 9, 9\)"):
        Response(response.orbitals, other.interaction, other.layout)
    with pytest.raises(ValueError, match=r"interaction\.coulomb must be \(2, 2, 2\)"):
        Response(response.orbitals, other.interaction, system.layout)
