"""Whichever way is chosen: the same states, none missed, and the same molecules unstable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from solver_cases import (
    DATA,
    DENSE,
    ITERATIVE,
    PRECISIONS,
    assert_agree,
    butadiene_chain,
    cubane,
    polygon,
    problem,
    scaled_exchange,
    solved,
)
from surrogate_cases import kept
from torch import Tensor

import esml
from esml.io.records import read
from esml.physics import Strategy
from esml.physics.excitations import singlets, triplets
from esml.physics.response import Response
from esml.physics.solvers import davidson
from esml.predict.surrogate import Surrogate


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("n_states", [1, 10])
def test_many_molecules_agree(
    assorted: tuple[Response, Tensor], n_states: int, precision: torch.dtype
) -> None:
    assert_agree(*assorted, n_states, precision)


SYMMETRIC: dict[str, Callable[[], Atoms]] = {
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

    def lossy(projected: Tensor, overlap: Tensor, n_wanted: int, strategy: Strategy) -> Any:
        energies, coefficients, positive = project(projected, overlap, n_wanted, strategy)
        if overlap.dtype == torch.float32:
            coefficients = torch.full_like(coefficients, torch.nan)
        return energies, coefficients, positive

    monkeypatch.setattr(davidson, name, lossy)
    response, dipole = problem(model, [molecule("CH3CHO"), molecule("C2H4")])
    assert_agree(response, dipole, 3, torch.float32)


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
            assert torch.equal(one.given, other.given), factor
            tolerance: dict[str, Any] = {"atol": PRECISIONS[precision], "rtol": 0}
            torch.testing.assert_close(one.instability, other.instability, **tolerance)
            torch.testing.assert_close(one.energies, other.energies, equal_nan=True, **tolerance)
            seen |= set(zip(other.stable.tolist(), other.given.tolist(), strict=True))
    assert seen == {(True, True), (False, True), (False, False)}


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
    # Levels reach −40 eV, where single precision has steps of 4e-6 eV.
    tolerance = 1e-10 if dtype == torch.float64 else 4e-6
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
        np.testing.assert_allclose(kept(one.hamiltonian), kept(other.hamiltonian), atol=tolerance)
