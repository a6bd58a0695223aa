"""The iterative solver finds what the dense one does, misses nothing and says what is unstable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from torch import Tensor

import esml
from esml.io.records import read
from esml.physics import orbitals
from esml.physics.excitations import Excitations, singlets, triplets
from esml.physics.response import Kind, Multiplicity, Response
from esml.physics.solvers import davidson
from esml.physics.solvers.banded import Window, WindowTurn
from esml.physics.solvers.near_pairs import Near
from esml.physics.solvers.pair_model import Frontier, PairModel
from esml.physics.solvers.problem import Problem
from esml.physics.solvers.representations import Relaxed, Representations
from esml.physics.solvers.space import Space, products
from esml.physics.solvers.strategy import DEFAULT, Strategy
from esml.predict.solution import in_double
from esml.predict.surrogate import Surrogate

DATA = Path(__file__).parents[3] / "data" / "small"
PRECISIONS = {torch.float32: 1e-6, torch.float64: 1e-10}
"""Precision of iterations, and how well energies then agree, eV."""


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


DENSE = Strategy(dense=10**9)
ITERATIVE = Strategy(dense=0, dense_per_state=0)


def problem(model: Surrogate, structures: list[Atoms]) -> tuple[Response, Tensor]:
    with torch.no_grad():
        operators = in_double(model.hamiltonian(model.graph(structures)))
        layout = operators.layout
        found = orbitals.diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        return Response(found, operators.interaction, layout), operators.dipole


def solved(
    response: Response, dipole: Tensor, n_states: int, precision: torch.dtype, strategy: Strategy
) -> tuple[Excitations, Excitations]:
    with torch.no_grad():
        return (
            singlets(response, dipole, n_states, precision, strategy=strategy),
            triplets(response, n_states, precision, strategy=strategy),
        )


def strength_below(found: Excitations, gap: float = 1e-3) -> list[float]:
    """Strengths summed over states closer than ``gap`` (eV), of the sets that are complete."""
    sums: list[float] = []
    for energies, strengths in zip(found.energies, found.oscillator_strengths, strict=True):
        cuts = (energies.diff() > gap).nonzero()[:, 0].tolist()
        starts = [0, *(c + 1 for c in cuts)]
        sums += [float(strengths[a:b].sum()) for a, b in pairwise(starts)]
    return sums


def assert_agree(
    response: Response,
    dipole: Tensor,
    n_states: int,
    precision: torch.dtype,
    strategy: Strategy = ITERATIVE,
) -> None:
    dense = solved(response, dipole, n_states, precision, DENSE)
    iterative = solved(response, dipole, n_states, precision, strategy)
    for one, other in zip(iterative, dense, strict=True):
        assert torch.equal(one.stable, other.stable)
        torch.testing.assert_close(
            one.energies, other.energies, atol=PRECISIONS[precision], rtol=0, equal_nan=True
        )
    np.testing.assert_allclose(
        strength_below(iterative[0]), strength_below(dense[0]), atol=100 * PRECISIONS[precision]
    )


# ---- agreement with the dense solver ----------------------------------------------------------


@pytest.fixture(scope="module")
def assorted(model: Surrogate) -> tuple[Response, Tensor]:
    records = read(DATA)
    picked = [records[i] for i in range(0, len(records), max(1, len(records) // 16))]
    return problem(model, [Atoms(r.numbers, r.positions) for r in picked if r.charge == 0])


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("n_states", [1, 10])
def test_many_molecules_agree(
    assorted: tuple[Response, Tensor], n_states: int, precision: torch.dtype
) -> None:
    assert_agree(*assorted, n_states, precision)


def polygon(size: int) -> Atoms:
    """An exact regular polygon of CH groups, whose states pair up."""
    angles = 2 * np.pi * np.arange(size) / size
    unit = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    radius = 1.395 / (2 * np.sin(np.pi / size))
    return Atoms(f"C{size}H{size}", np.concatenate([r * unit for r in (radius, radius + 1.09)]))


def cubane() -> Atoms:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return Atoms("C8H8", np.concatenate([0.785 * corners, 1.41 * corners]))


def butadiene_chain(n_double_bonds: int) -> Atoms:
    """A polyene in a straight line of alternating bonds, hydrogens left and right."""
    n = 2 * n_double_bonds
    steps = np.where(np.arange(n - 1) % 2 == 0, 1.34, 1.45)
    angles = np.radians(np.where(np.arange(n - 1) % 2 == 0, 28.0, -28.0))
    moves = np.stack([steps * np.cos(angles), steps * np.sin(angles), 0 * steps], 1)
    carbons = np.concatenate([np.zeros((1, 3)), np.cumsum(moves, 0)])
    side = np.where(np.arange(n) % 2 == 0, -1.09, 1.09)
    hydrogens = carbons + np.stack([0 * side, side, 0 * side], 1)
    ends = [carbons[0] + [-0.93, 0.57, 0], carbons[-1] + [0.93, -0.57, 0]]
    return Atoms(f"C{n}H{n + 2}", np.concatenate([carbons, hydrogens, ends]))


SYMMETRIC = {
    "benzene": lambda: polygon(6),
    "cubane": cubane,
    "octatetraene": lambda: butadiene_chain(4),
    "methane": lambda: molecule("CH4"),
    "allene": lambda: molecule("C3H4_D2d"),
}


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("name", SYMMETRIC)
def test_no_root_of_a_symmetric_molecule_is_missed(
    model: Surrogate, name: str, precision: torch.dtype
) -> None:
    response, dipole = problem(model, [SYMMETRIC[name]()])
    for n_states in (1, 2, 3, 12):  # cutting through degenerate sets as well
        assert_agree(response, dipole, min(n_states, int(response.n_available)), precision)


def test_nearly_dependent_vectors_are_no_instability() -> None:
    """Many states of small molecules in single precision: none is refused that double accepts."""
    records = [r for r in read(DATA) if r.split == "test"]
    atoms = [Atoms(r.numbers, r.positions) for r in records]
    found = [
        [type(x) for x in esml.load_model(dtype=dtype).predict_many(atoms, 24, errors="return")]
        for dtype in (torch.float32, torch.float64)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["project_one", "project_pair"])
def test_numbers_lost_in_single_precision_are_found_in_double(
    model: Surrogate, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What is not a number is no converged state: nan residuals are below no tolerance."""
    project = getattr(davidson, name)

    def lossy(projected: Tensor, overlap: Tensor, n_wanted: int) -> Any:
        energies, coefficients, positive = project(projected, overlap, n_wanted)
        if overlap.dtype == torch.float32:
            coefficients = torch.full_like(coefficients, torch.nan)
        return energies, coefficients, positive

    monkeypatch.setattr(davidson, name, lossy)
    response, dipole = problem(model, [molecule("CH3CHO"), molecule("C2H4")])
    assert_agree(response, dipole, 3, torch.float32)


def test_products_of_long_vectors_are_exact_in_single_precision() -> None:
    """A plain sum of a million products of numbers of one sign is wrong in the fourth digit."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(1, 3, 2**20, generator=generator)
    vectors /= torch.linalg.vector_norm(vectors, dim=2, keepdim=True)
    exact = vectors.double() @ vectors.double().mT
    torch.testing.assert_close(products(vectors, vectors, DEFAULT.piece), exact, atol=3e-7, rtol=0)


def test_what_is_new_of_nearly_dependent_vectors_is_apart() -> None:
    """Again and again, in single precision: errors do not grow from one addition to the next."""
    generator = torch.Generator().manual_seed(0)
    space = Space(torch.zeros(1, 5000), 1, 40, DEFAULT)
    for _ in range(8):
        vectors = torch.randn(1, 4, 5000, generator=generator)
        if space.size:
            mixture = torch.randn(1, 4, space.size, generator=generator)
            vectors = mixture @ space.vectors + 1e-4 * vectors
        new = space.apart(vectors)
        space.add(new, [new])
    identity = torch.eye(space.size, dtype=torch.float64)[None]
    torch.testing.assert_close(space.projected.double(), identity, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_products_between_relaxed_orbitals_are_those_between_canonical_ones(
    assorted: tuple[Response, Tensor], kind: Kind
) -> None:
    response, _ = assorted
    relaxed = Representations(response, DEFAULT).relaxed(torch.float64)
    mask = response.singles_mask[:, None]
    amplitudes = torch.randn(len(mask), 3, *mask.shape[2:], dtype=torch.float64) * mask
    expected = response.apply(relaxed.to_canonical(amplitudes), kind)
    found = relaxed.to_canonical(relaxed.apply(amplitudes, kind))
    torch.testing.assert_close(found * mask, expected * mask, atol=1e-10, rtol=0)
    some = torch.tensor([3, 1])
    torch.testing.assert_close(
        relaxed.some(some).apply(amplitudes[some], kind), relaxed.apply(amplitudes, kind)[some]
    )


def test_without_interaction_relaxed_orbitals_leave_nothing_to_do(
    assorted: tuple[Response, Tensor],
) -> None:
    """The diagonal is all there is, however much the virtual orbitals relax."""
    response = scaled_exchange(assorted[0], 0.0)
    relaxed = Representations(response, DEFAULT).relaxed(torch.float64)
    mask = response.singles_mask[:, None]
    amplitudes = torch.randn(len(mask), 1, *mask.shape[2:], dtype=torch.float64) * mask
    found = relaxed.apply(amplitudes, "A-B")
    expected = relaxed.diagonal()[:, None] * amplitudes
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_molecules_that_are_done_are_left_behind(
    assorted: tuple[Response, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that go on are no other for it."""
    response, dipole = assorted
    sizes = []
    apply = Relaxed.apply_pair

    def noted(self: Relaxed, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(plus))
        return apply(self, plus, minus)

    monkeypatch.setattr(Relaxed, "apply_pair", noted)
    with torch.no_grad():
        found = singlets(response, dipole, 10, torch.float64, strategy=ITERATIVE).energies
        assert sizes[0] == len(found) > sizes[-2] > 0
        strategy = replace(ITERATIVE, left_behind=0.0)
        together = singlets(response, dipole, 10, torch.float64, strategy=strategy).energies
    torch.testing.assert_close(found, together, atol=1e-10, rtol=0, equal_nan=True)


# ---- the model large molecules start from -----------------------------------------------------


def row_of_formaldehydes(n_molecules: int) -> Atoms:
    row = Atoms()
    for place in range(n_molecules):
        unit = molecule("H2CO")
        unit.rotate(40.0 * place, "x")
        unit.positions += [4.2 * place, 0.0, 0.0]
        row += unit
    return row


@pytest.mark.parametrize("coupling", ["singlet", "triplet"])
def test_a_model_of_all_pairs_is_the_matrix(model: Surrogate, coupling: Multiplicity) -> None:
    """With every local orbital and every pair it has the states of A, whatever is local."""
    strategy = Strategy(frontier_width=1e6, frontier_rank=1e-9, frontier_overlap=0.0)
    response, _ = problem(model, [molecule("CH3CHO")])
    whole = response.dense("A" if coupling == "singlet" else "triplet")
    frontier = Frontier(response, int(response.n_available), strategy)
    found = PairModel.of(frontier, response.kernel, coupling, strategy)
    energies, vectors = torch.linalg.eigh(whole[0])
    torch.testing.assert_close(found.energies, energies, atol=1e-9, rtol=0)
    # And so its inverse is that of A − ω.
    omega = energies[:1, None] - 1.0
    exact = vectors[:, 3] / (energies[3] - omega)
    torch.testing.assert_close(
        found.corrected(torch.randn_like(exact), vectors[None, :, 3], omega),
        exact,
        atol=1e-9,
        rtol=0,
    )


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    "make", [lambda: butadiene_chain(4), lambda: row_of_formaldehydes(4)], ids=["polyene", "row"]
)
def test_iterations_from_the_model_agree(
    model: Surrogate, make: Callable[[], Atoms], precision: torch.dtype
) -> None:
    response, dipole = problem(model, [make()])
    assert_agree(response, dipole, 10, precision, replace(ITERATIVE, large=0))


@pytest.mark.parametrize("at_once", [1, 3])
def test_corrections_are_the_same_a_few_vectors_at_a_time(model: Surrogate, at_once: int) -> None:
    response, dipole = problem(model, [row_of_formaldehydes(4)])
    room = 2 * at_once * int(response.n_available)
    strategy = replace(ITERATIVE, large=0, correction_room=room)
    assert_agree(response, dipole, 10, torch.float64, strategy)


# ---- local orbitals ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", get_args(Kind))
def test_products_between_local_orbitals_are_those_between_canonical_ones(
    model: Surrogate, kind: Kind
) -> None:
    response, _ = problem(model, [butadiene_chain(10)])
    local = Representations(response, Strategy(strip_rows=16)).local(torch.float64)
    amplitudes = torch.randn(1, 3, *response.singles_mask.shape[1:], dtype=torch.float64)
    expected = response.apply(local.to_canonical(amplitudes), kind)
    found = local.to_canonical(local.apply(amplitudes, kind))
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)


def test_an_order_is_found_in_which_a_chain_is_narrow(model: Surrogate) -> None:
    """However its atoms are numbered; a compact molecule fills all of the matrix."""
    chain = butadiene_chain(40)
    shuffled = chain[np.random.default_rng(0).permutation(len(chain))]

    def is_narrow(atoms: Atoms) -> bool:
        response, _ = problem(model, [atoms])
        return Representations(response, Strategy(strip_rows=16)).is_narrow(torch.float32)

    assert is_narrow(chain)
    assert is_narrow(shuffled)
    assert not is_narrow(cubane())


def test_the_inverse_is_that_of_differences_of_levels(model: Surrogate) -> None:
    response, _ = problem(model, [butadiene_chain(10)])
    local = Representations(response, DEFAULT).local(torch.float64)
    shape = response.singles_mask.shape[1:]
    omega = torch.tensor([[[2.0], [-6.0]]], dtype=torch.float64)
    sought = torch.randn(1, 2, *shape, dtype=torch.float64)
    given = local._levels(sought) - omega[:, :, :, None] * sought
    found = local.levels.excitation(given.flatten(2), omega).unflatten(2, shape)
    assert float((found - sought).norm() / sought.norm()) < 0.1


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    "make", [lambda: butadiene_chain(4), lambda: row_of_formaldehydes(4)], ids=["polyene", "row"]
)
def test_iterations_between_local_orbitals_agree(
    model: Surrogate, make: Callable[[], Atoms], precision: torch.dtype
) -> None:
    response, dipole = problem(model, [make()])
    assert_agree(response, dipole, 10, precision, replace(ITERATIVE, large=0, widest_band=2.0))


# ---- near pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize("coupling", ["singlet", "triplet"])
def test_products_of_near_pairs_are_those_of_all_pairs_between_them(
    model: Surrogate, coupling: Multiplicity
) -> None:
    """Whatever strips there are, and of a window that is a small part of all pairs."""
    strategy = Strategy(strip_rows=16, strip_holes=1, binding=3.0, widest_band=2.0)
    response, _ = problem(model, [butadiene_chain(10)])
    local = Representations(response, strategy).local(torch.float64)
    window = local.near()
    assert window is not None
    near = Near(local, window, coupling)
    assert 0.05 < near.window.fill < 0.7
    names: list[Kind] = ["A+B", "A-B"] if coupling == "singlet" else ["triplet"]
    vectors = [torch.randn(1, 3, near.window.size, dtype=torch.float64) for _ in names]
    shape = response.singles_mask.shape[1:]
    for name, vector, found in zip(names, vectors, near.apply(vectors), strict=True):
        everywhere = local.apply(near.window.spread(vector).unflatten(2, shape), name)
        expected = near.window.gathered(everywhere.flatten(2))
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)


def test_a_window_holds_what_is_near_and_forgets_nothing() -> None:
    near = torch.zeros(200, 90, dtype=torch.bool)
    for hole in range(200):
        near[hole, max(0, hole // 2 - 5) : hole // 2 + 5] = True
    near[130:] = False  # holes without an electron near them
    window = Window(near, DEFAULT.strip_holes)
    everything = torch.randn(2, near.numel(), dtype=torch.float64)
    inside = window.gathered(everything)
    back = window.spread(inside)
    assert inside.shape == (2, window.size)
    assert window.fill < 0.6
    torch.testing.assert_close(window.gathered(back), inside, atol=0, rtol=0)
    torch.testing.assert_close(back[:, near.flatten()], everything[:, near.flatten()])
    torch.testing.assert_close(window.joined(window.parts(inside)), inside, atol=0, rtol=0)


def test_a_turn_of_a_window_is_that_of_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(40.0, dtype=torch.float64)
    near = (place[:30, None] - place).abs() < 6
    left, right = (
        torch.randn(n, k, generator=generator, dtype=torch.float64)
        * ((place[:n, None] - 4.0 * place[:k]).abs() < 5)
        for n, k in ((30, 7), (40, 10))
    )
    pairs = (torch.arange(7)[:, None] - torch.arange(10)).abs() < 2
    window = Window(near, 8)
    turn = WindowTurn(window, left, right, pairs, DEFAULT.rough)
    inside = torch.randn(3, window.size, generator=generator, dtype=torch.float64)
    amplitudes = window.spread(inside).unflatten(1, near.shape)
    expected = left.mT @ amplitudes @ right
    torch.testing.assert_close(turn.turned(inside)[:, pairs], expected[:, pairs])
    turned = torch.randn(3, 7, 10, generator=generator, dtype=torch.float64) * pairs
    back = (left @ turned @ right.mT).flatten(1)
    torch.testing.assert_close(turn.back(turned), window.gathered(back))


def from_near_pairs(binding: float) -> Strategy:
    """Iterations of any molecule between local orbitals, from pairs bound by so many eV."""
    return replace(ITERATIVE, large=0, widest_band=2.0, binding=binding, strip_holes=1)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("n_states", [1, 4, 13])
def test_no_state_of_equal_molecules_far_apart_is_missed(
    model: Surrogate, n_states: int, precision: torch.dtype
) -> None:
    """Exactly degenerate states, more of them than are asked for or fewer, from near pairs."""
    row = Atoms()
    for place in range(6):
        unit = molecule("H2CO")
        unit.positions += [0.0, 0.0, 60.0 * place]
        row += unit
    response, dipole = problem(model, [row])
    dense = solved(response, dipole, n_states, torch.float64, DENSE)
    found = solved(response, dipole, n_states, precision, from_near_pairs(2.0))
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-10}[precision]
    for one, other in zip(found, dense, strict=True):
        torch.testing.assert_close(one.energies, other.energies, atol=tolerance, rtol=0)


@pytest.mark.parametrize("bound", [2.0, 4.0])
def test_near_pairs_only_start_the_iterations(model: Surrogate, bound: float) -> None:
    """The answer is that of all pairs, however many are near, in double precision."""
    response, dipole = problem(model, [row_of_formaldehydes(4)])
    strategy = from_near_pairs(bound)
    assert_agree(response, dipole, 10, torch.float64, strategy)
    runs = Problem(response, torch.float64, strategy).lowest("singlet", 10).statistics
    sizes = [run.dimension for run in runs]
    assert min(sizes) < 0.9 * max(sizes)


def test_the_model_saves_iterations_where_states_crowd(model: Surrogate) -> None:
    response, _ = problem(model, [row_of_formaldehydes(10)])
    multiplied = [
        Problem(response, torch.float32, Strategy(large=large)).lowest("singlet", 10)
        for large in (0, 10**9)
    ]
    with_model, without = (found.statistics[-1].products for found in multiplied)
    assert with_model < 0.8 * without


@pytest.mark.slow
def test_the_multiplets_of_a_fullerene_are_whole(model: Surrogate) -> None:
    """No matrix fits: ten states must be the first ten of thirty, in sets of 1, 3, 4 or 5."""
    response, dipole = problem(model, [molecule("C60")])
    few, many = (solved(response, dipole, n, torch.float64, ITERATIVE)[1] for n in (10, 30))
    torch.testing.assert_close(few.energies, many.energies[:, :10], atol=1e-8, rtol=0)
    cuts = (many.energies[0].diff() > 1e-3).nonzero()[:, 0]
    sizes = torch.cat([cuts[:1] + 1, cuts.diff()])
    assert set(sizes.tolist()) <= {1, 2, 3, 4, 5, 8, 9}


@pytest.mark.parametrize("kind", ["singlets", "triplets"])
def test_all_states_below_an_energy(model: Surrogate, kind: str) -> None:
    response, dipole = problem(model, [polygon(6), molecule("C2H4"), molecule("CH4")])
    with torch.no_grad():
        if kind == "singlets":
            everything, below = (
                singlets(response, dipole),
                singlets(response, dipole, None, None, 9.0),
            )
        else:
            everything, below = triplets(response), triplets(response, None, None, 9.0)
    for m in range(3):
        expected = everything.energies[m][everything.energies[m] < 9.0]
        found = below.energies[m][below.mask[m]]
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
        assert not below.X[m][~below.mask[m]].any()
    assert below.energies.shape[1] == int(below.mask.sum(1).max()) > 0


# ---- stability --------------------------------------------------------------------------------


def scaled_exchange(response: Response, factor: float) -> Response:
    """The same molecules with the attraction of electron and hole scaled."""
    interaction = response.interaction
    changed = {
        name: factor * getattr(interaction, name)
        for name in ("exchange", "exchange_dipole", "exchange_quadrupole")
    }
    return Response(response.orbitals, replace(interaction, **changed), response.layout)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_both_solvers_call_the_same_molecules_unstable(
    model: Surrogate, precision: torch.dtype
) -> None:
    """As attraction grows, A − B loses its positivity; so do triplets, earlier."""
    response, dipole = problem(model, [butadiene_chain(3), molecule("H2CO"), polygon(6)])
    seen = set()
    for factor in (1.0, 1.3, 1.6, 1.9, 2.2, 2.5):
        stronger = scaled_exchange(response, factor)
        dense = solved(stronger, dipole, 5, precision, DENSE)
        iterative = solved(stronger, dipole, 5, precision, ITERATIVE)
        for one, other in zip(iterative, dense, strict=True):
            assert torch.equal(one.stable, other.stable), factor
            seen |= set(other.stable.tolist())
        assert torch.equal(dense[0].energies.isnan(), iterative[0].energies.isnan())
    assert seen == {True, False}


# ---- what a batch must not change -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_results_do_not_depend_on_the_batch(dtype: torch.dtype) -> None:
    model = esml.load_model(dtype=dtype)
    names = ("C6H6", "CH3CHO", "C5H5N", "H2CO", "CH3COCH3", "C4H4O", "HCN", "C2H6")
    structures = []
    for seed, name in enumerate(names):
        atoms = molecule(name)
        atoms.rattle(0.03, seed=seed)
        structures.append(atoms)
    together = list(model.predict_many(structures, 8))
    reordered = list(model.predict_many(structures[::-1] + structures[:3], 8))[: len(names)][::-1]
    tolerance = 1e-10 if dtype == torch.float64 else 1e-6
    for one, other, atoms in zip(together, reordered, structures, strict=True):
        alone = model.predict(atoms, 8)
        for found in (one, other):
            assert isinstance(found, esml.Result)
            for kind in ("singlets", "triplets"):
                np.testing.assert_allclose(
                    getattr(found, kind).energies,
                    getattr(alone, kind).energies,
                    atol=tolerance,
                    rtol=0,
                )


def test_states_that_do_not_converge_are_said_to(model: Surrogate) -> None:
    response, dipole = problem(model, [polygon(6)])
    with pytest.raises(davidson.ConvergenceError, match=r"molecule 0 .* did not converge"):
        singlets(response, dipole, 5, strategy=replace(ITERATIVE, most_iterations=2))


def test_a_space_that_starts_again_finds_the_same(model: Surrogate) -> None:
    response, dipole = problem(model, [polygon(6)])
    small = solved(response, dipole, 6, torch.float64, replace(ITERATIVE, memory=0))
    large = solved(response, dipole, 6, torch.float64, ITERATIVE)
    for one, other in zip(small, large, strict=True):
        torch.testing.assert_close(one.energies, other.energies, atol=1e-10, rtol=0)


# ---- other devices ----------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_gpu_finds_what_the_processor_does(dtype: torch.dtype) -> None:
    structures = [polygon(6), molecule("CH3CHO"), molecule("C5H5N"), molecule("H2CO")]
    here, there = (esml.load_model(dtype=dtype, device=d) for d in ("cpu", "cuda"))
    tolerance = 1e-8 if dtype == torch.float64 else 1e-4
    for one, other in zip(
        here.predict_many(structures), there.predict_many(structures), strict=True
    ):
        assert isinstance(one, esml.Result)
        assert isinstance(other, esml.Result)
        for kind in ("singlets", "triplets"):
            np.testing.assert_allclose(
                getattr(one, kind).energies, getattr(other, kind).energies, atol=tolerance
            )
        np.testing.assert_allclose(one.charges, other.charges, atol=tolerance)
        np.testing.assert_allclose(one.hamiltonian, other.hamiltonian, atol=tolerance)
