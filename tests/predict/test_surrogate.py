"""The model at its edges: few states, refusals, files, precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import (
    ALL,
    CONFIG,
    assert_same,
    assert_same_states,
    benzene,
    distorted,
    formate,
    kept,
    nitrogen,
)

import esml
from esml.io.structure_checks import StructureError
from esml.model.checkpoint import Checkpoint, CheckpointError
from esml.model.checkpoint import save as save_checkpoint
from esml.model.graph import Graph
from esml.model.hamiltonian import EffectiveHamiltonian
from esml.physics.excitations import InstabilityError
from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate
from esml.results import Failure, Result


def test_a_line_says_what_a_model_is(model: Surrogate) -> None:
    shipped = repr(esml.load_model("camb3lyp"))
    assert shipped.startswith("Surrogate(camb3lyp, H B C N O F Si P S Cl Se Br I, ")
    assert shipped.endswith(" parameters)")
    assert "\n" not in shipped + repr(model)


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
    forward = Surrogate.forward
    broken = distorted("HCN")

    def fail(self: Surrogate, graph: Graph, *wanted: Any) -> Solution:
        if 6 in graph.numbers:
            raise RuntimeError("the eigensolver did not converge")
        return forward(self, graph, *wanted)

    monkeypatch.setattr(Surrogate, "forward", fail)
    found = list(small.predict_many([nitrogen(), broken, nitrogen()], 2, errors="return"))
    assert [type(x) for x in found] == [Result, Failure, Result]
    with pytest.raises(RuntimeError, match="did not converge"):
        small.predict(broken)


def test_a_saved_model_is_the_same_model(small: Surrogate, tmp_path: Any) -> None:
    path = tmp_path / "model.safetensors"
    esml.save_model(small, path)
    restored = esml.load_model(path, dtype=torch.float64)
    assert restored.metadata == small.metadata
    assert restored.dtype == torch.float64
    assert not restored.training
    one, other = (m.predict(formate(), 5) for m in (small, restored))
    np.testing.assert_array_equal(one.singlets.energies, other.singlets.energies)
    np.testing.assert_array_equal(kept(one.hamiltonian), kept(other.hamiltonian))
    assert esml.load_model(str(path)).dtype == torch.float32
    assert {p.dtype for p in esml.load_model(path).parameters()} == {torch.float32}


def test_models_that_do_not_fit_are_refused(small: Surrogate, tmp_path: Any) -> None:
    with pytest.raises(CheckpointError, match=r"no model 'defualt': expected one of .*camb3lyp"):
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
    assert {"best_estimate", "camb3lyp"} <= set(esml.available_models())
    for name, energies in (("best_estimate", "energies"), ("camb3lyp", "validation")):
        model = esml.load_model(name)
        assert model.dtype == torch.float32
        for key in ("name", "level", "n_structures", "n_molecules", "elements", energies):
            assert model.metadata[key], key
    assert esml.load_model().metadata == esml.load_model("best_estimate").metadata
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
    assert isinstance(many, Result)
    assert len(many.triplets) == 2
    with pytest.raises(ValueError, match="n_triplets is 0: expected at least 1"):
        shipped.predict(atoms, n_triplets=0)
