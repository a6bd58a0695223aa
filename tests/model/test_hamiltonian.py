"""The effective Hamiltonian: symmetry, smoothness, locality, gradients, mean field.

Over 400 lines: every property is shown of the same model on the same structures.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from pydantic import ValidationError
from torch import Tensor

from esml.model.backbones.equivariant import NetworkConfig
from esml.model.graph import Graph, build_graph
from esml.model.hamiltonian import (
    COUPLINGS,
    EffectiveHamiltonian,
    HamiltonianConfig,
    Operators,
    from_config,
)
from esml.model.pairs import species
from esml.physics.interaction import Interaction
from esml.physics.orbitals import charges, density_matrix, diagonalize
from esml.units import BOHR, COULOMB

NETWORK = NetworkConfig(channels=6, layers=2, cutoff=3.5, radial=4, radial_hidden=8)
CONFIG = HamiltonianConfig(
    network=NETWORK, pair_onset=2.5, pair_cutoff=4.0, pair_channels=5, hidden=8, products=2
)
EXACT: dict[str, Any] = {"atol": 1e-10, "rtol": 0}


def shaken(config: HamiltonianConfig = CONFIG, size: float = 0.2) -> EffectiveHamiltonian:
    """A model without the zeros its output layers start from, or no test could fail."""
    torch.manual_seed(5)
    model = EffectiveHamiltonian(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def model() -> EffectiveHamiltonian:
    return shaken()


def distorted(name: str, seed: int = 0) -> Atoms:
    atoms: Atoms = molecule(name)
    atoms.rattle(0.08, seed=seed)
    return atoms


def chain(n: int) -> Atoms:
    """An all-trans polyene-like zigzag of n CH groups, H at the ends."""
    carbons = [(1.22 * i, 0.35 * (-1) ** i, 0.02 * i) for i in range(n)]
    hydrogens = [(1.22 * i, 1.43 * (-1) ** i, -0.03 * i) for i in range(n)]
    ends = [(-0.9, -0.3, 0.1), (1.22 * (n - 1) + 0.9, 0.3 * (-1) ** n, 0.0)]
    return Atoms(f"C{n}H{n + 2}", positions=carbons + hydrogens + ends)


def graph_of(*structures: Atoms, cutoff: float = CONFIG.cutoff) -> Graph:
    return build_graph(structures, cutoff, dtype=torch.float64)


def turn(q: Tensor, slots: Tensor) -> Tensor:
    """(n, n) rotation of the orbitals of atoms with the slot masks ``slots`` (N, 4)."""
    blocks = []
    for mask in slots:
        one = torch.ones(1, 1, dtype=q.dtype)
        blocks.append(torch.block_diag(one, q) if bool(mask[1]) else one)
    values: Tensor = torch.block_diag(*blocks)
    return values


def assert_interactions_close(a: Interaction, b: Interaction, turned: Tensor) -> None:
    """``a`` is ``b`` with its orbitals ``turned`` (n, n)."""
    b = replace(b, relaxation=turned @ b.relaxation @ turned.T)
    for field in fields(Interaction):
        torch.testing.assert_close(
            getattr(a, field.name), getattr(b, field.name), **EXACT, msg=field.name
        )


@pytest.mark.parametrize("inversion", [False, True])
def test_operators_turn_with_the_molecule(model: EffectiveHamiltonian, inversion: bool) -> None:
    q, _ = torch.linalg.qr(
        torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    )
    q = q * torch.linalg.det(q) * (-1 if inversion else 1)
    graph = graph_of(distorted("CH3CHO"))
    before = model(graph)
    after = model(replace(graph, positions=graph.positions @ q.T))
    d = turn(q, before.layout.slot_mask)
    torch.testing.assert_close(after.hamiltonian[0], d @ before.hamiltonian[0] @ d.T, **EXACT)
    expected = torch.einsum("xy,yab->xab", q, d @ before.dipole[0] @ d.T)
    torch.testing.assert_close(after.dipole[0], expected, **EXACT)
    assert_interactions_close(after.interaction, before.interaction, d)
    torch.testing.assert_close(after.features, before.features, **EXACT)


def test_translation_moves_only_the_origin_of_the_dipole(model: EffectiveHamiltonian) -> None:
    graph = graph_of(distorted("CH3CHO"))
    shift = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    before, after = model(graph), model(replace(graph, positions=graph.positions + shift))
    torch.testing.assert_close(after.hamiltonian, before.hamiltonian, **EXACT)
    eye = torch.eye(before.layout.n_max, dtype=torch.float64)
    moved = before.dipole + (shift / BOHR)[None, :, None, None] * eye
    torch.testing.assert_close(after.dipole, moved, **EXACT)


def test_operators_follow_the_order_of_atoms(model: EffectiveHamiltonian) -> None:
    atoms = distorted("CH3CHO")
    order = [3, 1, 6, 0, 5, 2, 4]
    before, after = model(graph_of(atoms)), model(graph_of(atoms[order]))
    orbitals = torch.cat([before.layout.slot_orbital[i][before.layout.slot_mask[i]] for i in order])
    torch.testing.assert_close(
        after.hamiltonian, before.hamiltonian[:, orbitals][:, :, orbitals], **EXACT
    )
    torch.testing.assert_close(after.dipole, before.dipole[:, :, orbitals][..., orbitals], **EXACT)
    torch.testing.assert_close(
        after.interaction.exchange, before.interaction.exchange[:, order][:, :, order], **EXACT
    )


def test_a_batch_is_its_molecules(model: EffectiveHamiltonian) -> None:
    structures = [distorted(name) for name in ("H2O", "CH3CHO", "HCN")] + [Atoms("O")]
    batch = model(graph_of(*structures))
    for m, atoms in enumerate(structures):
        alone = model(graph_of(atoms))
        n, k = alone.layout.n_max, len(atoms)
        torch.testing.assert_close(batch.hamiltonian[m, :n, :n], alone.hamiltonian[0], **EXACT)
        torch.testing.assert_close(batch.dipole[m, :, :n, :n], alone.dipole[0], **EXACT)
        torch.testing.assert_close(
            batch.interaction.coulomb[m, :k, :k], alone.interaction.coulomb[0], **EXACT
        )
        outside = batch.hamiltonian[m].clone()
        outside[:n, :n] = 0
        assert outside.abs().max() == 0


def test_operators_are_hermitian_and_general(model: EffectiveHamiltonian) -> None:
    """Symmetric, with every piece of a block present, the antisymmetric p–p part included."""
    result = model(graph_of(distorted("CH3CHO")))
    h, r = result.hamiltonian[0], result.dipole[0]
    torch.testing.assert_close(h, h.T, **EXACT)
    torch.testing.assert_close(r, r.mT, **EXACT)
    layout = result.layout
    heavy = [int(layout.slot_orbital[i, 0]) for i in range(3) if bool(layout.slot_mask[i, 1])]
    a, b = heavy[:2]
    h_pp = h[a + 1 : a + 4, b + 1 : b + 4]
    r_pp = r[:, a + 1 : a + 4, b + 1 : b + 4]
    for block in (h_pp, r_pp):
        assert (block - block.mT).abs().max() > 1e-3
    assert (h[a, b + 1 : b + 4].abs() > 1e-3).all()
    onsite = h[a : a + 4, a : a + 4]
    assert (onsite - onsite.diagonal().diag()).abs().max() > 1e-3
    center = torch.from_numpy(distorted("CH3CHO").positions[0]) / BOHR
    local = r[:, a : a + 4, a : a + 4] - center[:, None, None] * torch.eye(4)
    assert (local.abs().amax(0) > 1e-4).all()


def test_kernels_are_symmetric_to_the_last_digit() -> None:
    """In single precision, too, whose powers depend on where in an array a number stands."""
    model = shaken().float()
    structures = [
        distorted(n) for n in ("C3H4_C2v", "CH3CHO", "C4H4NH", "CH3SH", "H2CO", "CH3CH2NH2")
    ]
    graph = build_graph(structures, CONFIG.cutoff, torch.float32)
    with torch.no_grad():
        operators = model(graph)
    for kernel in (operators.interaction.coulomb, operators.interaction.exchange):
        assert torch.equal(kernel, kernel.mT)


def test_interaction_has_its_signs_and_limits(model: EffectiveHamiltonian) -> None:
    a, b = distorted("H2CO"), distorted("HCN")
    b.translate([500.0, 0, 0])
    result = model(graph_of(a + b)).interaction
    for name in ("singlet_dipole", "singlet_quadrupole", "exchange_dipole", "exchange_quadrupole"):
        assert (getattr(result, name) >= 0).all()
    for name in ("triplet_monopole", "triplet_dipole", "triplet_quadrupole"):
        assert (getattr(result, name) <= 0).all()
    assert (result.triplet_monopole < 0).all()
    for kernel, limit in ((result.coulomb, 1.0), (result.exchange, CONFIG.exchange_limit)):
        torch.testing.assert_close(kernel, kernel.mT, **EXACT)
        assert (kernel > 0).all()
        distance = float(np.linalg.norm(a.positions[0] - b.positions[0]))
        expected = limit * COULOMB / distance
        assert float(kernel[0, 0, len(a)].detach()) == pytest.approx(expected, rel=1e-3)


def test_an_untrained_model_is_its_baseline() -> None:
    model = EffectiveHamiltonian(CONFIG).double()
    model.set_baseline({8: {"s": -20.0, "p": -7.0, "sp_dipole": 0.5, "hardness_coulomb": 11.0}})
    result = model(graph_of(Atoms("O", positions=[[0, 0, 0.3]])))
    levels = torch.tensor([-20.0, -7.0, -7.0, -7.0], dtype=torch.float64)
    torch.testing.assert_close(result.hamiltonian[0], levels.diag())
    expected = torch.zeros(3, 4, 4, dtype=torch.float64)
    for axis in range(3):
        expected[axis, 0, 1 + axis] = expected[axis, 1 + axis, 0] = 0.5
    expected[2] += 0.3 / BOHR * torch.eye(4)
    torch.testing.assert_close(result.dipole[0], expected)
    assert float(result.interaction.coulomb.detach()) == pytest.approx(11.0, rel=1e-6)
    untouched = model.baseline[3, 3 + COUPLINGS.index("triplet_dipole")]
    assert float(result.interaction.triplet_dipole.detach()) == pytest.approx(
        float(untouched), rel=1e-6
    )
    s, p = (model.baseline[3, 3 + COUPLINGS.index(f"relaxation_{l}")] for l in "sp")
    torch.testing.assert_close(result.interaction.relaxation[0], torch.stack([s, p, p, p]).diag())
    assert max(s, p) < 0
    assert -1 < float(result.interaction.virtual_scale.detach()) < 0
    # Slater–Koster couplings alone already bind: occupied levels below the atoms', a gap.
    ethene = model(graph_of(molecule("C2H4")))
    orbitals = diagonalize(ethene.hamiltonian, ethene.layout.n_orbitals, ethene.layout.n_occupied)
    assert float(orbitals.gap.detach()) > 3.0


def test_only_relaxations_may_change_sign() -> None:
    model = EffectiveHamiltonian(CONFIG).double()
    graph = graph_of(Atoms("O"))
    before = model(graph).interaction
    for deviation in (-5.0, 5.0):
        with torch.no_grad():
            model.element_couplings.fill_(deviation)
        after = model(graph).interaction
        eye = torch.eye(4, dtype=torch.float64)
        torch.testing.assert_close(after.relaxation[0], before.relaxation[0] + deviation * eye)
        for field in fields(Interaction):
            if field.name == "relaxation":
                continue
            old, new = (float(getattr(x, field.name).detach()) for x in (before, after))
            if field.name == "virtual_scale":
                assert new == old
            else:
                assert new * old > 0
                assert (abs(new) > abs(old)) == (deviation > 0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({32: {"s": 1.0}}, "element 32"),
        ({6: {"d": 1.0}}, "'d' is not a baseline"),
        ({6: {"hardness_exchange": 0.0}}, "must be positive"),
    ],
)
def test_baselines_are_checked(values: dict[int, dict[str, float]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EffectiveHamiltonian(CONFIG).set_baseline(values)


@pytest.mark.parametrize("boundary", [3.5, 4.0, 2.5])
def test_smooth_where_an_atom_crosses_a_cutoff(
    model: EffectiveHamiltonian, boundary: float
) -> None:
    """Neither the operators nor their first derivatives jump; the graph is built anew each time."""
    weights = torch.randn(
        2, 30, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )

    def at(distance: float) -> tuple[Tensor, Tensor]:
        atoms = Atoms("HCOH", positions=[[0, 1, 0.3], [0, 0, 0], [1.2, 0, 0.1], [distance, 0, 0]])
        graph = graph_of(atoms)
        positions = graph.positions.requires_grad_()
        result = model(graph)
        n = result.layout.n_max
        kernels = result.interaction.coulomb.sum() + result.interaction.singlet_dipole.sum()
        value = (
            (result.hamiltonian * weights[0, :n, :n]).sum()
            + (result.dipole * weights[1, :n, :n]).sum()
            + kernels
        )
        return value.detach(), torch.autograd.grad(value, positions)[0]

    step = 1e-5
    (inside, inner), (outside, outer) = at(boundary - step), at(boundary + step)
    scale = float(inner.abs().max())
    assert float(inner[3].abs().max()) > 1e-3 * scale
    torch.testing.assert_close(inside, outside, atol=3 * step * scale, rtol=0)
    torch.testing.assert_close(inner, outer, atol=1e-4 * scale, rtol=0)


@pytest.mark.parametrize("mean_field", ["none", "far", "full"])
def test_far_molecules_do_not_know_of_each_other(mean_field: str) -> None:
    # Small deviations, so that no electron prefers the other molecule.
    model = shaken(CONFIG.model_copy(update={"mean_field": mean_field}), size=0.03)
    a, b = chain(4), distorted("HCN")
    distance = 900.0
    b.translate([distance, 0.0, 0.0])
    both, first, second = (model(graph_of(x)) for x in (a + b, a, b))
    expected = torch.block_diag(first.hamiltonian[0], second.hamiltonian[0])
    # With electrostatics they feel the potential of each other's dipoles, here below 1 e·Å, and
    # in the second step what its field does to their densities.
    full = mean_field == "full"
    potential = COULOMB / distance**2 if full else EXACT["atol"]
    field = COULOMB / distance**3 if full else EXACT["atol"]
    torch.testing.assert_close(both.hamiltonian[0], expected, atol=potential, rtol=0)
    diagonal = torch.eye(len(expected), dtype=torch.bool)
    apart = torch.where(diagonal, 0.0, both.hamiltonian[0] - expected)
    torch.testing.assert_close(apart, torch.zeros_like(apart), atol=field, rtol=0)
    for axis in range(3):
        expected = torch.block_diag(first.dipole[0, axis], second.dipole[0, axis])
        torch.testing.assert_close(both.dipole[0, axis], expected, **EXACT)


@pytest.mark.parametrize(("mean_field", "steps"), [("far", 1), ("full", 1), ("full", 3)])
def test_mean_field_is_that_of_the_formula(mean_field: str, steps: int) -> None:
    """Element by element: exchange and potential of the density that the step before leads to."""
    model = shaken(CONFIG.model_copy(update={"mean_field": mean_field, "mean_field_steps": steps}))
    state = model.state_dict()

    def lesser(**form: str | int) -> EffectiveHamiltonian:
        other = EffectiveHamiltonian(CONFIG.model_copy(update={"mean_field": mean_field} | form))
        other.double().load_state_dict({name: state[name] for name in other.state_dict()})
        return other

    bare = lesser(mean_field="none")
    earlier = bare if steps == 1 else lesser(mean_field_steps=steps - 1)
    fraction, screened = (float(state.get(f"near_{x}", 0.0)) for x in ("exchange", "coulomb"))
    atoms = chain(6)
    graph = graph_of(atoms)
    start, before, found = bare(graph), earlier(graph), model(graph)
    layout = start.layout
    orbitals = diagonalize(before.hamiltonian, layout.n_orbitals, layout.n_occupied)
    density = density_matrix(orbitals)[0]
    charge = charges(orbitals, layout)[0]
    owner = layout.orbital_atom[0].tolist()
    kinds = species(graph.numbers).tolist()
    eta = model.baseline[kinds][:, 3:5]

    def switch_of(a: int, b: int) -> float:
        x = min(max((atoms.get_distance(a, b) - 2.5) / 1.5, 0.0), 1.0)
        value: float = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
        return value

    def gamma_of(a: int, b: int, which: int) -> float:
        limit, y = ((1.0, 1.75), (0.65, 2.32))[which]
        r, hardness = atoms.get_distance(a, b), float(0.5 * (eta[a, which] + eta[b, which]))
        value: float = limit * COULOMB / (r**y + (limit * COULOMB / hardness) ** y) ** (1 / y)
        return value

    def mean_gamma(a: int) -> float:
        near = [switch_of(a, b) for b in range(len(atoms))]
        return sum(f * gamma_of(a, b, 0) for b, f in enumerate(near)) / sum(near)

    expected = start.hamiltonian[0].detach().clone()
    for mu, a in enumerate(owner):
        for nu, b in enumerate(owner):
            near = switch_of(a, b)
            if near == 0:
                assert expected[mu, nu] == 0
            share = 1 - near + (fraction * near if a != b else 0.0)
            expected[mu, nu] -= 0.5 * density[mu, nu] * gamma_of(a, b, 1) * share
        if mean_field == "full":
            for b in range(len(atoms)):
                near = switch_of(a, b)
                share = 1 - near + screened * near
                expected[mu, mu] -= share * gamma_of(a, b, 0) * charge[b]
                rest = (1 - screened) * near * 0.5 * (mean_gamma(a) + mean_gamma(b))
                expected[mu, mu] -= rest * charge[b]
    torch.testing.assert_close(found.hamiltonian[0], expected, **EXACT)
    assert (found.hamiltonian - start.hamiltonian).abs().max() > 0.01


@pytest.mark.parametrize("charge", [-1, 1])
def test_a_net_charge_shifts_levels_however_near_charges_are_damped(charge: int) -> None:
    """What damping leaves of it acts on every level alike, at the mean γ within the molecule."""
    atoms = Atoms("OH3" if charge == 1 else "OH")
    atoms.positions = 0.6 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1]])[: len(atoms)]
    graph = build_graph([atoms], CONFIG.cutoff, dtype=torch.float64, charges=[charge])
    with_all, damped = (
        shaken(CONFIG.model_copy(update={"net_charge": kept, "mean_field_steps": 1}))
        for kept in (True, False)
    )
    added = with_all(graph).hamiltonian[0] - damped(graph).hamiltonian[0]
    torch.testing.assert_close(added, torch.diag(added.diagonal()), **EXACT)
    eta = damped.baseline[species(graph.numbers), 3]
    per_charge = -added.diagonal() / (charge * (1.0 - damped.near_coulomb))
    assert (per_charge < 1.5 * eta.max()).all()
    assert (per_charge > COULOMB / 6.0).all()


def test_gradients_are_those_of_finite_differences(model: EffectiveHamiltonian) -> None:
    """d tr(H W) / dR with the far exchange, and the same of dipole and interaction."""
    graph = graph_of(chain(4))
    generator = torch.Generator().manual_seed(2)
    weights = [torch.randn(4, 60, 60, dtype=torch.float64, generator=generator) for _ in range(2)]

    def value(positions: Tensor) -> Tensor:
        result: Operators = model(replace(graph, positions=positions))
        n, k = result.layout.n_max, result.layout.n_atoms_max
        return (
            (result.hamiltonian[0] * weights[0][0, :n, :n]).sum()
            + (result.dipole[0] * weights[1][:3, :n, :n]).sum()
            + (result.interaction.exchange[0] * weights[0][1, :k, :k]).sum()
            + (result.interaction.triplet_dipole[0] * weights[0][2, 0, :k]).sum()
        )

    positions = graph.positions.clone().requires_grad_()
    gradient = torch.autograd.grad(value(positions), positions)[0]
    step = 1e-4
    with torch.no_grad():
        for atom, axis in ((0, 0), (2, 1), (5, 2), (9, 0)):
            shift = torch.zeros_like(positions)
            shift[atom, axis] = step
            numeric = (value(positions + shift) - value(positions - shift)) / (2 * step)
            assert float(gradient[atom, axis]) == pytest.approx(float(numeric), rel=1e-6, abs=1e-5)


def test_every_weight_is_reached_by_gradients() -> None:
    model = shaken()
    result = model(graph_of(distorted("CH3CHO"), distorted("CH3SH"), distorted("CH3Cl")))
    loss = result.hamiltonian.square().sum() + result.dipole.square().sum()
    for field in fields(Interaction):
        loss = loss + getattr(result.interaction, field.name).square().sum()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("name", ["CH4", "C6H6", "HCN", "C2H2"])
def test_symmetric_molecules_have_finite_gradients(name: str) -> None:
    """Degenerate orbitals, and features that vanish by symmetry."""
    model = EffectiveHamiltonian(CONFIG).double()
    graph = graph_of(molecule(name))
    positions = graph.positions.requires_grad_()
    model(graph).hamiltonian.square().sum().backward()
    assert positions.grad is not None
    assert torch.isfinite(positions.grad).all()


def test_wrong_graphs_are_refused(model: EffectiveHamiltonian) -> None:
    with pytest.raises(ValueError, match=r"within 2\.0 Å where 4\.0 Å is expected"):
        model(graph_of(molecule("H2O"), cutoff=2.0))
    with pytest.raises(ValueError, match=r"positions are torch\.float32"):
        model(graph_of(molecule("H2O")).to(dtype=torch.float32))


def test_a_config_and_a_state_restore_a_model(model: EffectiveHamiltonian) -> None:
    restored = from_config(model.config.model_dump(mode="json")).double()
    restored.load_state_dict(model.state_dict())
    graph = graph_of(distorted("CH3CHO"))
    assert torch.equal(restored(graph).hamiltonian, model(graph).hamiltonian)
    with pytest.raises(ValidationError, match=r"network\.<equivariant>\.chanels"):
        from_config({"network": {"chanels": 3}})
    with pytest.raises(ValidationError, match="must be below pair_cutoff"):
        HamiltonianConfig(pair_onset=7.0)


def test_single_precision_agrees(model: EffectiveHamiltonian) -> None:
    single = EffectiveHamiltonian(CONFIG)
    single.load_state_dict(model.state_dict())
    graph = graph_of(distorted("CH3CHO"))
    lower, full = single(graph.to(dtype=torch.float32)), model(graph)
    torch.testing.assert_close(lower.hamiltonian.double(), full.hamiltonian, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(lower.dipole.double(), full.dipole, atol=2e-4, rtol=1e-4)
