"""Many molecules are predicted as each is alone, in order, in bounded batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from surrogate_cases import (
    assert_same,
    assorted,
    formate,
    nitrogen,
)

from esml.io.structure_checks import StructureError
from esml.predict.batching import Batching
from esml.predict.surrogate import Surrogate
from esml.results import Failure, Result

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


def test_batches_are_bounded_and_hold_everyone_once(small: Surrogate) -> None:
    structures = assorted() * 2
    seen: list[int] = []

    def counted(model: torch.nn.Module, given: tuple[Any, ...]) -> None:
        graph = given[0]
        seen.append(graph.n_molecules)
        on_atoms = torch.where(graph.numbers == 1, 1, 4)
        orbitals = torch.zeros(graph.n_molecules).index_add(0, graph.molecule, on_atoms.float())
        assert len(orbitals) == 1 or len(orbitals) * (float(orbitals.max()) / 2) ** 2 <= 100

    small = small.with_batching(Batching(batch_singles=100))
    small.register_forward_pre_hook(counted)
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
        assert isinstance(result, Result)
        assert result.atoms == before
        assert result.atoms.info["charge"] == -1
