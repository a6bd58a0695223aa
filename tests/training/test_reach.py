"""Stated errors that grow beyond the training molecules: with size, and with what is unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from numpy.typing import NDArray

import esml
from esml.confidence import ErrorModel
from esml.confidence.domain import AROUND, size
from esml.confidence.uncertainty import NAMES
from esml.results import half_width
from esml.training.calibration import Errors, fit
from esml.training.reach import ADDED, add_reach, extend

Array = NDArray[np.float64]

SIZE, UNSEEN, CHARGE = (NAMES.index(name) for name in ADDED)


def errors(
    n_molecules: int,
    seed: int,
    sizes: tuple[float, float],
    growth: float,
    strange: float = 0.0,
    charged: float = 0.0,
) -> Errors:
    """Normal errors of ten states a molecule, 0.1 eV (heavy atoms / 5)^``growth``.

    Eight times that for the share ``strange`` of molecules, made of what was never seen; three
    times for each charge of the share ``charged``.
    """
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(10 * n_molecules, len(NAMES)))
    values[:, SIZE] = np.log(np.repeat(rng.uniform(*sizes, n_molecules), 10))
    values[:, UNSEEN] = np.repeat(rng.random(n_molecules) < strange, 10)
    values[:, CHARGE] = np.repeat(rng.random(n_molecules) < charged, 10)
    more = np.log(8) * values[:, UNSEEN] + np.log(3) * values[:, CHARGE]
    deviation = 0.1 * np.exp(growth * (values[:, SIZE] - np.log(5)) + more)
    names = [f"{seed}-{i // 10}" for i in range(len(values))]
    return Errors(values, deviation * rng.normal(size=len(values)), names)


def without_added(own: Errors) -> ErrorModel:
    """A model as files had them before size and what is unseen were descriptors."""
    state = fit(own)[0].state()
    return ErrorModel(
        {
            name: tensor if tensor.ndim == 0 else tensor[: len(tensor) - len(ADDED)]
            for name, tensor in state.items()
        }
    )


def inside(model: ErrorModel, found: Errors) -> float:
    stated = model(torch.from_numpy(found.values)).numpy()
    return float(np.mean(np.abs(found.errors) <= half_width(0.9) * stated))


@pytest.mark.parametrize("growth", [0.0, 0.8])
def test_growth_with_size_is_found_and_intervals_hold(growth: float) -> None:
    own, larger = errors(200, 1, (2, 9), growth), errors(60, 2, (10, 30), growth)
    before = without_added(own)
    model, found = extend(before, own, [larger])
    assert found["size"] == pytest.approx(growth, abs=0.12)
    assert found["unseen"] == 0.0
    for fresh in (errors(300, 3, (2, 9), growth), errors(300, 4, (10, 30), growth)):
        assert 0.86 < inside(model, fresh) < 0.96
    if growth:
        assert inside(before, errors(300, 4, (10, 30), growth)) < 0.7


def test_what_is_unseen_widens_those_states_alone() -> None:
    own, strange = errors(200, 5, (2, 9), 0.0), errors(100, 6, (2, 9), 0.0, strange=0.5)
    model, found = extend(without_added(own), own, [strange])
    assert found["unseen"] == pytest.approx(np.log(8), abs=0.3)
    for fresh in (errors(300, 7, (2, 9), 0.0), errors(300, 8, (2, 9), 0.0, strange=1.0)):
        assert 0.86 < inside(model, fresh) < 0.97


def test_charges_widen_the_intervals_of_ions_alone() -> None:
    own, ions = errors(200, 15, (2, 9), 0.0), errors(100, 16, (2, 9), 0.0, charged=0.5)
    model, found = extend(without_added(own), own, [ions])
    assert found["charge"] == pytest.approx(np.log(3), abs=0.2)
    for fresh in (errors(300, 17, (2, 9), 0.0), errors(300, 18, (2, 9), 0.0, charged=1.0)):
        assert 0.86 < inside(model, fresh) < 0.97


def test_the_other_coefficients_stay() -> None:
    own = errors(100, 9, (2, 9), 0.5)
    before = without_added(own)
    model, _ = extend(before, own, [errors(60, 10, (10, 30), 0.5)])
    again, _ = extend(model, own, [errors(60, 10, (10, 30), 0.5)])
    for one, other in ((before, model), (model, again)):
        count = len(before.centre)
        torch.testing.assert_close(
            one.coefficients[1 : 1 + count], other.coefficients[1 : 1 + count]
        )
        torch.testing.assert_close(one.centre[:count], other.centre[:count])
    assert (before.knows("size"), model.knows("size"), model.knows("unseen")) == (False, True, True)
    # Files of before are read as they were: what they have no coefficients of counts for nothing.
    values = torch.from_numpy(own.values)
    torch.testing.assert_close(before(values), before(values[:, :SIZE]))


def test_a_model_without_errors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    bare = esml.load_model()
    bare.error_model = None
    esml.save_model(bare, path)
    with pytest.raises(ValueError, match="no error model to extend"):
        add_reach(path, [], [])


def test_size_is_that_of_the_molecule_not_of_what_is_far() -> None:
    model = esml.load_model(dtype=torch.float64)
    benzene, water = molecule("C6H6"), molecule("H2O")
    far = water.copy()
    far.positions += [AROUND[1] + 6.0, 0.0, 0.0]
    alone, both = (size(model.graph([atoms])) for atoms in (benzene, benzene + far))
    assert alone.tolist() == [6.0] * 12
    assert both.tolist() == [6.0] * 12 + [1.0] * 3
    near = water.copy()
    near.positions += [0.5 * sum(AROUND), 0.0, 0.0]
    counts = size(model.graph([benzene + near]))
    assert ((counts[:12] > 6.0) & (counts[:12] < 7.0)).all()


BUILT: dict[str, Callable[[], Atoms]] = {
    "ketene": lambda: molecule("H2CCO"),
    "allene": lambda: molecule("C3H4_D2d"),
}


@pytest.mark.parametrize("name", BUILT)
def test_known_cumulated_bonds_are_seen(name: str) -> None:
    result = esml.load_model().predict(BUILT[name](), 1)
    assert not [w for w in result.warnings if "neighbours" in w]


def test_a_thioketene_is_unseen_though_every_bond_is_known() -> None:
    """C=C=S: carbon with 2 neighbours between carbon with 3 and sulfur with 1."""
    thioketene = Atoms(
        "CCSH2", [[0, 0, 0], [0, 0, 1.315], [0, 0, 2.869], [0, 0.93, -0.54], [0, -0.93, -0.54]]
    )
    model = esml.load_model("camb3lyp")
    result = model.predict(thioketene, 2)
    assert not result.in_domain
    assert any(w.startswith("no C(3)–C(2)–S(1) chain") for w in result.warnings)
    assert model.domain is not None
    graph = model.graph([thioketene, molecule("C3H4_D2d")])
    with torch.no_grad():
        features = model.hamiltonian(graph).features
    unseen = model.domain(graph, features).unseen.atoms
    assert unseen.tolist() == [True, True, True, False, False] + [False] * 7
    # Widened, for its states are where the unseen is.
    ketene = model.predict(molecule("H2CCO"), 2)
    assert result.singlets.uncertainties[0] > 1.5 * ketene.singlets.uncertainties[0]
