"""Structures → graphs, and the sentences that refuse structures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from esml.io.structure_checks import StructureError, check_structure, molecular_charge
from esml.model.graph import build_graph


def changed(name: str = "H2O", **info: object) -> Atoms:
    atoms: Atoms = molecule(name)
    atoms.info.update(info)
    return atoms


def periodic() -> Atoms:
    atoms: Atoms = molecule("H2O", vacuum=5.0)
    atoms.set_pbc(True)
    return atoms


def germane() -> Atoms:
    return Atoms("GeH4", molecule("SiH4").positions)


def misplaced() -> Atoms:
    atoms: Atoms = molecule("H2O")
    atoms.positions[1, 2] = np.nan
    return atoms


def doubled() -> Atoms:
    atoms = molecule("CH4")
    found: Atoms = atoms + Atoms("CO", positions=[atoms.positions[2] + 0.01, [0, 0, 9]])
    return found


def partial(total: float) -> Atoms:
    atoms: Atoms = molecule("H2O")
    atoms.set_initial_charges([total - 0.6, 0.3, 0.3])
    return atoms


def magnetic() -> Atoms:
    atoms: Atoms = molecule("H2O")
    atoms.set_initial_magnetic_moments([2.0, 0, 0])
    return atoms


@pytest.mark.parametrize(
    ("atoms", "says"),
    [
        (Atoms(), "no atoms .* check the file"),
        (periodic(), r"periodic .* atoms\.set_pbc\(False\)"),
        (misplaced(), r"position of H \(atom 1\) is \[.*nan\]"),
        (
            Atoms("GeH4", molecule("SiH4").positions),
            r"Ge \(atom 0\) .* it knows H C N O F S Cl B Si",
        ),
        (doubled(), r"H \(atom 2\) and C \(atom 5\) are 0\.017 Å apart"),
        (molecule("CH3"), r"CH3 with charge \+0 has 7 valence electrons, an odd number"),
        (changed(charge=1), r"OH2 with charge \+1 has 7 valence electrons, an odd number"),
        (changed(charge=8), "has 0 valence electrons where 1 to 12 are expected"),
        (changed(charge=-6), "has 14 valence electrons where 1 to 12 are expected"),
        (changed(charge=0.5), r"total charge is 0\.5 e where a whole number is expected"),
        (changed(charge="many"), r"atoms\.info\['charge'\] is 'many' where a number is expected"),
        (changed(spin=2), r"atoms\.info\['spin'\] = 2 where a closed shell is expected"),
        (magnetic(), "initial magnetic moments summing to 2"),
        (partial(0.4), r"total charge is 0\.4 e"),
    ],
)
def test_refusals(atoms: Atoms, says: str) -> None:
    with pytest.raises(StructureError, match=says) as caught:
        check_structure(atoms)
    assert "\n" not in str(caught.value)
    with pytest.raises(StructureError, match=says):
        build_graph([atoms], 5.0)
    with pytest.raises(StructureError, match="structure 1: .*" + says):
        build_graph([molecule("H2O"), atoms], 5.0)


def test_no_structures_and_wrong_charges() -> None:
    with pytest.raises(StructureError, match="no structures"):
        build_graph([], 5.0)
    with pytest.raises(ValueError, match="2 charges were given for 1 structures"):
        build_graph([molecule("H2O")], 5.0, charges=[0, 0])


def test_charge_is_read_from_the_structure() -> None:
    assert molecular_charge(molecule("H2O")) == 0
    assert molecular_charge(changed(charge=-1.0)) == -1
    assert molecular_charge(partial(2.0)) == 2
    assert molecular_charge(partial(0.01)) == 0
    both = partial(2.0)
    both.info["charge"] = 0
    assert molecular_charge(both) == 0
    ammonium = Atoms("NH4", positions=molecule("CH4").positions, info={"charge": 1, "spin": 1})
    assert build_graph([ammonium, molecule("H2O")], 5.0).charges.tolist() == [1, 0]
    assert build_graph([molecule("H2O")], 5.0, charges=[2]).charges.tolist() == [2]


def test_pairs_are_all_those_within_the_cutoff() -> None:
    structures = [molecule(name) for name in ("C6H6", "CH3CHO", "H2O", "C2H6")]
    cutoff = 2.7
    graph = build_graph(structures, cutoff, dtype=torch.float64)
    positions = graph.positions.numpy()
    separation = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    molecules = graph.molecule.numpy()
    expected = (separation < cutoff) & (molecules[:, None] == molecules[None])
    np.fill_diagonal(expected, False)
    # argwhere sorts by source and then target, as the graph promises
    pairs = torch.stack([graph.edge_source, graph.edge_target], 1).numpy()
    np.testing.assert_array_equal(pairs, np.argwhere(expected))
    lengths = graph.vectors().norm(dim=1).numpy()
    np.testing.assert_allclose(lengths, separation[expected], rtol=1e-12)
    assert 0 < len(pairs) < (molecules[:, None] == molecules[None]).sum() - len(molecules)


def test_reverse_is_the_pair_in_the_other_direction() -> None:
    graph = build_graph([molecule("C6H6"), molecule("CH3CHO")], 3.0)
    reverse = graph.edge_reverse
    assert torch.equal(graph.edge_source[reverse], graph.edge_target)
    assert torch.equal(graph.edge_target[reverse], graph.edge_source)
    assert torch.equal(reverse[reverse], torch.arange(len(reverse)))
    torch.testing.assert_close(graph.vectors()[reverse], -graph.vectors())


def test_translation_changes_no_pair() -> None:
    atoms = molecule("CH3CHO")
    moved = atoms.copy()
    moved.translate([3.0, -2.0, 1.0])
    a, b = (build_graph([x], 3.0, dtype=torch.float64) for x in (atoms, moved))
    assert torch.equal(a.edge_source, b.edge_source)
    assert torch.equal(a.edge_target, b.edge_target)
    torch.testing.assert_close(a.vectors(), b.vectors(), atol=1e-12, rtol=0)


def test_lone_atoms_have_no_pairs() -> None:
    graph = build_graph([Atoms("O"), Atoms("C")], 5.0)
    assert graph.n_molecules == 2
    assert graph.edge_source.shape == graph.edge_reverse.shape == (0,)
    assert graph.vectors().shape == (0, 3)


def test_to_changes_the_positions_dtype_only_and_inputs_stay() -> None:
    atoms = molecule("H2O")
    before = atoms.copy()
    graph = build_graph([atoms], 5.0, dtype=torch.float64)
    lower = graph.to(dtype=torch.float32)
    assert lower.positions.dtype == torch.float32
    assert lower.numbers.dtype == lower.edge_source.dtype == torch.int64
    graph.positions.add_(1.0)
    assert atoms == before
