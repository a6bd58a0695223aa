"""Excited states: by hand, identities, invariances and edges."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from systems import (
    MOLECULES,
    System,
    converted,
    explicit_relaxed_virtuals,
    lay_out,
    parameters,
    random_system,
    take,
)
from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.excitations import Excitations, InstabilityError
from esml.physics.interaction import Interaction
from esml.units import HARTREE


def test_two_orbitals_by_hand() -> None:
    """H2: C = (1, ±1)/√2, so K = ½(γ₀ − γ₁), J(gg,uu) = ½(γᴶ₀ + γᴶ₁), J(gu,gu) = ½(γᴶ₀ − γᴶ₁).

    The levels are e ∓ t, so that Δ = (1 + σ)(e + t) + D − (e − t). Hence A − B = Δ − γᴶ₁,
    A + B = Δ + 2(γ₀ − γ₁) − γᴶ₀ and ω² = (A − B)(A + B), while the triplet is at
    Δ + t_m − ½(γᵀ₀ + γᵀ₁).
    """
    e, t, g0, g1, j0, j1, t_m, d = -4.0, 6.0, 12.0, 9.0, 5.0, 4.0, -1.5, 0.7
    relaxation, scale, t0, t1 = -1.2, -0.1, 4.7, 3.8
    two = torch.ones(1, 2, dtype=torch.float64)
    system = System(
        lay_out([[1, 1]]),
        torch.tensor([[[e, -t], [-t, e]]], dtype=torch.float64),
        d * torch.tensor([[[[-1.0, 0], [0, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]]).double(),
        Interaction(
            torch.tensor([[[g0, g1], [g1, g0]]], dtype=torch.float64),
            torch.tensor([[[j0, j1], [j1, j0]]], dtype=torch.float64),
            torch.tensor([[[t0, t1], [t1, t0]]], dtype=torch.float64),
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
    assert triplet.energies.item() == pytest.approx(delta + t_m - 0.5 * (t0 + t1), rel=1e-13)
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


def same_states(one: Excitations, other: Excitations, tolerance: float = 1e-10) -> None:
    """Energies, strengths and lengths of transition dipoles agree, state by state."""
    options: dict[str, Any] = {"atol": tolerance, "rtol": tolerance, "equal_nan": True}
    assert torch.allclose(one.energies, other.energies, **options)
    assert torch.allclose(one.oscillator_strengths, other.oscillator_strengths, **options)
    length, expected = (x.transition_dipoles.norm(dim=2) for x in (one, other))
    assert torch.allclose(length, expected, **options)


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
        values: Tensor = torch.block_diag(*matrices)[None]
        return values

    operators = [join([s.dipole_operator[0, x] for s in single]) for x in range(3)]
    united = System(
        lay_out([[*parts[0], *parts[1]]]),
        join([s.hamiltonian[0] for s in single]),
        torch.stack(operators, 1),
        Interaction(
            *[
                *(
                    join([x[0] for x in pair]) if pair[0].dim() == 3 else torch.cat(pair, 1)
                    for pair in zip(*(parameters(s.interaction)[:-1] for s in single), strict=True)
                ),
                both.interaction.virtual_scale,
            ]
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
    options: dict[str, Any] = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
    assert torch.allclose(found.energies.double(), reference, **options)
    reference = system.triplets(5).energies
    assert torch.allclose(other.triplets(5).energies.double(), reference, **options)


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
    interaction = Interaction(*[zero, zero, zero, *[one] * 7, zero, scale])
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
    values[5][1] -= 40.0
    system.interaction = Interaction(*values)
    found = system.triplets(2)
    assert found.stable.tolist() == [True, False]
    assert found.energies[1, 0] < 0
    with pytest.raises(InstabilityError, match=r"molecule\(s\) 1 of the batch"):
        found.require_stable()
