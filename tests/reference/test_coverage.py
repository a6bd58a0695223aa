"""The table of groups that the reference data cover by design."""

from __future__ import annotations

from collections import Counter

import pytest
from rdkit import Chem

from esml.physics.basis import VALENCE_ELECTRONS
from reference import coverage
from reference.enumeration import substituted_coverage
from reference.molecules import (
    assign_split,
    benchmark_connectivities,
    coverage_molecules,
    molecule_from_smiles,
)

PROBES = {
    "BODIPY": "F[B-]1(F)n2cccc2C=C2C=CC=[N+]12",
    "rhodamine 110 and fluorescein": "c1ccc2c(c1)Oc1ccccc1C2c1ccccc1",
    "indigo": "O=C1C(=C2Nc3ccccc3C2=O)Nc2ccccc21",
    "porphyrin": "c1cc2cc3ccc(cc4nc(cc5ccc(cc1n2)[nH]5)C=C4)[nH]3",
}
"""Dyes that are to show how far the model carries: no molecule of the table contains one."""


def molecules() -> list[tuple[coverage.Group, Chem.Mol]]:
    return [
        (group, Chem.MolFromSmiles(text)) for group in coverage.groups() for text in group.molecules
    ]


def test_every_line_has_enough_molecules_that_show_the_group() -> None:
    groups = coverage.groups()
    assert len(groups) >= 120
    assert len({group.name for group in groups}) == len(groups)
    for group in groups:
        assert len(group.molecules) >= 5, group.name
        pattern = Chem.MolFromSmarts(group.pattern)
        assert pattern is not None, group.name
        for text in group.molecules:
            mol = Chem.MolFromSmiles(text)
            assert mol is not None, text
            assert mol.HasSubstructMatch(pattern), f"{text} lacks {group.name}"


def test_molecules_are_small_closed_shells_of_known_elements() -> None:
    for group, mol in molecules():
        text = Chem.MolToSmiles(mol)
        numbers = {atom.GetAtomicNum() for atom in Chem.AddHs(mol).GetAtoms()}
        assert numbers <= VALENCE_ELECTRONS.keys(), f"{text} in {group.name}"
        assert 2 <= mol.GetNumHeavyAtoms() <= 9, f"{text} in {group.name}"
        assert abs(Chem.GetFormalCharge(mol)) <= 2
        assert sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()) == 0, text


def test_a_molecule_stands_once_and_none_is_of_the_benchmark_or_a_probe() -> None:
    keys = Counter(molecule.inchikey for molecule in coverage_molecules())
    assert max(keys.values()) == 1
    connectivities = {molecule.connectivity for molecule in coverage_molecules()}
    assert not connectivities & benchmark_connectivities()
    probes = [Chem.MolFromSmiles(text) for text in PROBES.values()]
    assert all(probes)
    for _, mol in molecules():
        assert not any(mol.HasSubstructMatch(probe) for probe in probes), Chem.MolToSmiles(mol)


def test_every_new_element_and_charge_is_there() -> None:
    elements: Counter[int] = Counter()
    charges: Counter[int] = Counter()
    for _, mol in molecules():
        elements.update({atom.GetAtomicNum() for atom in mol.GetAtoms()})
        charges[Chem.GetFormalCharge(mol)] += 1
    for number in (5, 14, 15, 34, 35, 53):
        assert elements[number] >= 10, number
    assert {-2, -1, 1, 2} <= charges.keys()


def test_held_out_groups_are_for_testing_only() -> None:
    held_out = [group for group in coverage.groups() if group.held_out]
    assert 5 <= len(held_out) < len(coverage.groups()) / 3
    for group in held_out:
        for text in group.molecules:
            assert assign_split(molecule_from_smiles(text)) == "test", text


def test_any_beginning_covers_the_table() -> None:
    ordered = [group.name for _, group in coverage.interleaved()]
    n_groups = len(coverage.groups())
    assert len(set(ordered[:n_groups])) == n_groups
    assert len(ordered) == sum(len(group.molecules) for group in coverage.groups())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("B,a,maybe,1,B,C C C C C", "line of 'a'"),
        ("B,a,,many,B,C C C C C", "expected a count"),
        ("B,a", "line of 'a'"),
    ],
)
def test_a_line_of_another_form_is_named(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        coverage.parse_table("class,group,held_out,dyes,pattern,molecules\n" + line + "\n")


def test_substituted_molecules_show_their_group_and_are_new() -> None:
    kinds = ("boron", "anion")
    chosen = substituted_coverage(kinds, 60)
    listed = {molecule.connectivity for molecule in coverage_molecules()}
    groups = {group.name: group for group in coverage.groups() if group.kind in kinds}
    assert len({molecule.inchikey for molecule in chosen}) == 60
    for molecule in chosen:
        mol = Chem.MolFromSmiles(molecule.smiles)
        group = groups[molecule.scaffold]
        assert mol.HasSubstructMatch(Chem.MolFromSmarts(group.pattern)), molecule.smiles
        assert molecule.n_heavy <= 9
        charges = {Chem.GetFormalCharge(Chem.MolFromSmiles(text)) for text in group.molecules}
        assert Chem.GetFormalCharge(mol) in charges
        assert sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()) == 0
        assert molecule.connectivity not in benchmark_connectivities()
    assert not {m.inchikey for m in chosen} & {m.inchikey for m in coverage_molecules()}
    assert len({m.connectivity for m in chosen} - listed) > 50
    # One of every group before a second of any, and a sample is the beginning of a longer one.
    assert len({molecule.scaffold for molecule in chosen[: len(groups)]}) == len(groups)
    assert substituted_coverage(kinds, 10) == chosen[:10]


def test_substituted_molecules_of_held_out_groups_are_for_testing() -> None:
    chosen = [m for m in substituted_coverage(("boron",), 100) if m.scaffold == "borazine"]
    assert len(chosen) > 5
    assert {assign_split(molecule) for molecule in chosen} == {"test"}


def test_unknown_classes_and_too_many_molecules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"vanadium: expected classes of coverage.csv, .*boron"):
        substituted_coverage(("vanadium",), 1)
    with pytest.raises(ValueError, match=r"n must be at most \d+"):
        substituted_coverage(("zwitterion",), 100_000)
