from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.orbitals import Orbitals, charges, density_matrix, diagonalize, dipole
from esml.units import BOHR

MOLECULES = [[6, 1, 1, 8], [7, 1, 1, 1], [1, 1], [16, 6, 7, 1]]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def lay_out(molecules: list[list[int]]) -> OrbitalLayout:
    numbers = torch.tensor([z for molecule in molecules for z in molecule])
    molecule = torch.repeat_interleave(
        torch.arange(len(molecules)), torch.tensor([len(m) for m in molecules])
    )
    # An odd number of electrons is made even by a charge.
    neutral = OrbitalLayout.build(numbers, molecule, torch.zeros(len(molecules), dtype=torch.int64))
    return OrbitalLayout.build(numbers, molecule, neutral.n_electrons % 2)


def random_operators(layout: OrbitalLayout, seed: int, count: int) -> Tensor:
    """``count`` random symmetric operators (M, count, n, n), zero in padding."""
    generator = torch.Generator().manual_seed(seed)
    n = layout.n_max
    matrix = torch.randn(layout.n_molecules, count, n, n, generator=generator, dtype=torch.float64)
    mask = layout.orbital_mask
    return (matrix + matrix.mT) * mask[:, None, :, None] * mask[:, None, None, :]


def ring(size: int, hopping: float = -2.4) -> Tensor:
    """Hückel Hamiltonian (1, size, size) of a ring."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    atoms = torch.arange(size)
    matrix[atoms, (atoms + 1) % size] = hopping
    return (matrix + matrix.mT)[None]


def solve(hamiltonian: Tensor, layout: OrbitalLayout) -> Orbitals:
    return diagonalize(hamiltonian, layout.n_orbitals, layout.n_occupied)


def assert_gradient(function: Callable[[Tensor], Tensor], at: Tensor, tolerance: float) -> None:
    """Compare the gradient of a scalar with central differences along random symmetric changes."""
    at = at.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(at), at)
    assert torch.allclose(gradient, gradient.mT)
    generator = torch.Generator().manual_seed(7)
    step = 1e-3
    for _ in range(4):
        change = torch.randn(at.shape, generator=generator, dtype=at.dtype)
        change = (change + change.mT) / change.norm()
        with torch.no_grad():
            near, far = (
                (function(at + h * change) - function(at - h * change)) / (2 * h)
                for h in (step, 2 * step)
            )
        numeric = (4 * near - far) / 3  # Richardson: the error is O(step⁴)
        analytic = (gradient * change).sum()
        assert analytic.item() == pytest.approx(numeric.item(), rel=tolerance, abs=tolerance)


def test_benzene_by_hand() -> None:
    beta = -2.4
    orbitals = diagonalize(ring(6, beta), torch.tensor([6]), torch.tensor([3]))
    expected = torch.tensor([2.0, 1, 1, -1, -1, -2], dtype=torch.float64) * beta
    assert torch.allclose(orbitals.energies[0], expected, atol=1e-13)
    assert orbitals.homo.item() == pytest.approx(beta)
    assert orbitals.lumo.item() == pytest.approx(-beta)
    assert orbitals.gap.item() == pytest.approx(-2 * beta)
    # Coulson's bond order of benzene is 2/3, and every atom carries one electron.
    density = density_matrix(orbitals)[0]
    assert torch.allclose(density.diagonal(), torch.ones(6, dtype=torch.float64))
    assert density[0, 1].item() == pytest.approx(2 / 3)
    assert density[0, 2].item() == pytest.approx(0, abs=1e-14)
    assert density[0, 3].item() == pytest.approx(-1 / 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orbitals_solve_the_eigenproblem_with_padding_last(dtype: torch.dtype) -> None:
    layout = lay_out(MOLECULES)
    # Energies far above zero: padding must sort last all the same.
    shift = torch.diag_embed(50.0 * layout.orbital_mask.double())
    h = (random_operators(layout, 0, 1)[:, 0] + shift).to(dtype)
    orbitals = solve(h, layout)
    tolerance = 100 * 50 * torch.finfo(dtype).eps
    for m in range(layout.n_molecules):
        n, o = int(layout.n_orbitals[m]), int(layout.n_occupied[m])
        c, e = orbitals.coefficients[m, :n, :n], orbitals.energies[m, :n]
        assert torch.allclose(c.mT @ c, torch.eye(n, dtype=dtype), atol=tolerance)
        assert torch.allclose(h[m, :n, :n] @ c, c * e, atol=tolerance)
        assert (e.diff() > -tolerance).all()
        assert not orbitals.coefficients[m, n:].any()
        assert not orbitals.coefficients[m, :, n:].any()
        assert orbitals.energies[m, n:].isnan().all()
        assert torch.equal(orbitals.occupied[m, :n, :o], c[:, :o])
        assert torch.equal(orbitals.virtual[m, :n, : n - o], c[:, o:])
        assert not orbitals.occupied[m, :, o:].any()
        assert not orbitals.virtual[m, :, n - o :].any()
        assert int(orbitals.occupied_mask[m].sum()) == o
        assert int(orbitals.virtual_mask[m].sum()) == n - o
        assert torch.allclose(orbitals.fock_occupied[m, :o, :o], e[:o].diag(), atol=tolerance)
        assert torch.allclose(
            orbitals.fock_virtual[m, : n - o, : n - o], e[o:].diag(), atol=tolerance
        )


def test_a_batch_gives_what_single_molecules_give() -> None:
    layout = lay_out(MOLECULES)
    h = random_operators(layout, 1, 1)[:, 0]
    batch = solve(h, layout)
    density = density_matrix(batch)
    for m, molecule in enumerate(MOLECULES):
        alone = lay_out([molecule])
        n = alone.n_max
        single = solve(h[m : m + 1, :n, :n], alone)
        assert torch.allclose(single.energies[0], batch.energies[m, :n], atol=1e-12)
        assert torch.allclose(density_matrix(single)[0], density[m, :n, :n], atol=1e-12)
        assert torch.allclose(single.gap[0], batch.gap[m], atol=1e-12)


def test_only_the_own_symmetric_block_counts() -> None:
    layout = lay_out(MOLECULES)
    h = random_operators(layout, 2, 1)[:, 0]
    rubbish = torch.full_like(h, torch.nan)
    mask = layout.orbital_mask
    inside = mask[:, :, None] & mask[:, None, :]
    skew = torch.ones_like(h).triu(1)
    dirty = torch.where(inside, h + skew - skew.mT, rubbish)
    expected = solve(h, layout).energies[mask]
    assert torch.allclose(solve(dirty, layout).energies[mask], expected, atol=1e-12)


def test_charges_and_dipole_of_a_batch() -> None:
    layout = lay_out(MOLECULES)
    h, *r = random_operators(layout, 3, 4).unbind(1)
    operator = torch.stack(r, 1)
    positions = torch.randn(len(layout.numbers), 3, dtype=torch.float64)
    orbitals = solve(h, layout)
    net = charges(orbitals, layout)
    assert torch.allclose(net.sum(1), _total(layout))
    assert not net[~layout.atom_mask].any()
    moment = dipole(orbitals, layout, positions, operator)
    valence = {1: 1, 6: 4, 7: 5, 8: 6, 16: 6}
    for m, molecule in enumerate(MOLECULES):
        n, o = int(layout.n_orbitals[m]), int(layout.n_occupied[m])
        _, c = torch.linalg.eigh(h[m, :n, :n])
        density = 2 * c[:, :o] @ c[:, :o].mT
        place = positions[layout.molecule == m] / BOHR
        expected = sum(valence[z] * x for z, x in zip(molecule, place, strict=True))
        expected = expected - torch.einsum("xij,ij->x", operator[m, :, :n, :n], density)
        assert torch.allclose(moment[m], expected, atol=1e-11)
        first = 0
        for a, z in enumerate(molecule):
            size = 1 if z == 1 else 4
            population = density.diagonal()[first : first + size].sum()
            assert net[m, a].item() == pytest.approx(valence[z] - population.item(), abs=1e-12)
            first += size


def _total(layout: OrbitalLayout) -> Tensor:
    """(M,) total charges: valence electrons of the atoms less those of the molecule."""
    valence = {1: 1, 6: 4, 7: 5, 8: 6, 16: 6}
    total = torch.tensor([sum(valence[z] for z in molecule) for molecule in MOLECULES])
    return (total - layout.n_electrons).double()


def test_dipole_of_a_neutral_molecule_does_not_depend_on_the_origin() -> None:
    layout = lay_out([[6, 8], [1, 1]])
    h, *r = random_operators(layout, 4, 4).unbind(1)
    operator = torch.stack(r, 1)
    positions = torch.randn(4, 3, dtype=torch.float64)
    move = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    identity = torch.diag_embed(layout.orbital_mask.double())
    moved = operator + (move / BOHR)[None, :, None, None] * identity[:, None]
    orbitals = solve(h, layout)
    before = dipole(orbitals, layout, positions, operator)
    after = dipole(orbitals, layout, positions + move, moved)
    assert torch.allclose(before, after, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_of_density_charges_and_dipole(seed: int) -> None:
    layout = lay_out(MOLECULES)
    h, weight, *r = random_operators(layout, seed, 5).unbind(1)
    operator = torch.stack(r, 1)
    positions = torch.randn(len(layout.numbers), 3, dtype=torch.float64)

    def observable(hamiltonian: Tensor) -> Tensor:
        orbitals = solve(hamiltonian, layout)
        density = density_matrix(orbitals)
        hole = orbitals.virtual @ orbitals.virtual.mT
        return (
            (weight * density).sum()
            + (weight @ hole @ weight @ density).diagonal(dim1=1, dim2=2).sum()
            + charges(orbitals, layout).pow(3).sum()
            + dipole(orbitals, layout, positions, operator).square().sum()
        )

    assert_gradient(observable, h, 1e-7)


@pytest.mark.parametrize("size", [6, 10])
def test_gradients_are_exact_for_degenerate_orbitals(size: int) -> None:
    n_occupied = size // 2
    weight = torch.randn(size, size, dtype=torch.float64)

    def orbitals_of(hamiltonian: Tensor) -> Orbitals:
        return diagonalize(hamiltonian, torch.tensor([size]), torch.tensor([n_occupied]))

    def density(hamiltonian: Tensor) -> Tensor:
        return (weight * density_matrix(orbitals_of(hamiltonian))).sum()

    def hole(hamiltonian: Tensor) -> Tensor:
        virtual = orbitals_of(hamiltonian).virtual
        return (weight * (virtual @ virtual.mT)).sum()

    def fock(hamiltonian: Tensor) -> Tensor:
        orbitals = orbitals_of(hamiltonian)
        return orbitals.fock_occupied.diagonal(dim1=1, dim2=2).sum() + (
            orbitals.fock_virtual.square().sum()
        )

    def pair(hamiltonian: Tensor) -> Tensor:
        """The degenerate highest pair: its sum has a derivative, its members have not."""
        return orbitals_of(hamiltonian).energies[0, n_occupied - 2 : n_occupied].sum()

    for function in (density, hole, fock, pair):
        assert_gradient(function, ring(size), 1e-8)


def test_energies_have_hellmann_feynman_gradients() -> None:
    layout = lay_out(MOLECULES)
    h = random_operators(layout, 5, 1)[:, 0]
    weight = torch.linspace(0.1, 1, layout.n_max, dtype=torch.float64)

    def observable(hamiltonian: Tensor) -> Tensor:
        orbitals = solve(hamiltonian, layout)
        energies = torch.where(layout.orbital_mask, orbitals.energies, 0)
        return (weight * energies).sum() + orbitals.gap.sum()

    assert_gradient(observable, h, 1e-8)


def test_a_closed_gap_keeps_gradients_finite() -> None:
    h = ring(4).requires_grad_()  # cyclobutadiene: two electrons in two degenerate orbitals
    density = density_matrix(diagonalize(h, torch.tensor([4]), torch.tensor([2])))
    density[0, 0, 1].backward()
    assert h.grad is not None
    assert h.grad.isfinite().all()


def test_no_orbital_above_or_below_leaves_the_gap_undefined() -> None:
    h = torch.tensor([[[-3.0, 0.5], [0.5, 1.0]]] * 2, dtype=torch.float64)
    orbitals = diagonalize(h, torch.tensor([2, 2]), torch.tensor([0, 2]))
    assert math.isnan(orbitals.homo[0])
    assert not math.isnan(orbitals.lumo[0])
    assert math.isnan(orbitals.lumo[1])
    assert orbitals.gap.isnan().all()


def test_input_is_not_changed() -> None:
    layout = lay_out(MOLECULES)
    h = random_operators(layout, 6, 1)[:, 0]
    before = h.clone()
    solve(h, layout)
    assert torch.equal(h, before)


def test_diagonalize_says_what_is_wrong() -> None:
    h = ring(6)
    one = torch.tensor([6])
    with pytest.raises(ValueError, match=r"hamiltonian must be \(M, n, n\), got \(6, 6\)"):
        diagonalize(h[0], one, torch.tensor([3]))
    with pytest.raises(ValueError, match=r"n_occupied must be \(1,\), got \(2,\)"):
        diagonalize(h, one, torch.tensor([3, 3]))
    with pytest.raises(ValueError, match="molecule 0 has 6 orbitals, of which 7"):
        diagonalize(h, one, torch.tensor([7]))
    with pytest.raises(ValueError, match="exceeds the 6 rows"):
        diagonalize(h, torch.tensor([8]), torch.tensor([3]))
    h[0, 2, 2] = torch.nan
    with pytest.raises(ValueError, match="Hamiltonian of molecule 0 is not finite"):
        diagonalize(h, one, torch.tensor([3]))
