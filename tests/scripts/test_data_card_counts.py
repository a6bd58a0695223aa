"""What the data card counts: molecules per group, element and charge, and the cost of labels."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rdkit")

from rdkit import Chem
from shipped_training import SETS

from esml.io.records import shard_paths
from reference.coverage import Group
from reference.coverage import groups as coverage_groups
from scripts.data import card
from scripts.data.card_cost import cost, cost_of_elements
from scripts.data.card_groups import groups
from scripts.data.card_tables import charges_and_elements, elements_of_ions, low_triplets
from scripts.data.entries import Entry, is_zwitterion

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "data.md"
STALE = "the page is out of date: run python -m scripts.data.card"


def entry(
    smiles: str,
    split: str = "train",
    directory: str = "small",
    geometry: str = "relaxed",
    seconds: float = 1.0,
    t1: float = 3.0,
) -> Entry:
    """One record of a molecule, as the card sees it."""
    mol = Chem.MolFromSmiles(smiles)
    one = np.ones(1)
    return Entry(
        directory,
        Chem.MolToInchiKey(mol),
        smiles,
        split,
        geometry,
        symbols_of(smiles),
        Chem.GetFormalCharge(mol),
        mol.GetNumHeavyAtoms(),
        singlets=4.0 * one,
        strengths=one,
        singlet_weights=one,
        triplets=t1 * one,
        triplet_weights=one,
        level="{}",
        provenance={"seconds_total": seconds},
    )


def symbols_of(smiles: str) -> frozenset[str]:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return frozenset(atom.GetSymbol() for atom in mol.GetAtoms())


def rows(text: str, begin: str) -> list[list[str]]:
    """Cells behind the first one, of every table row whose first cell is ``begin``."""
    found = [x for x in text.splitlines() if x.startswith(f"| {begin} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")[1:]] for line in found]


def block(name: str) -> str:
    """A block of the committed page."""
    found = re.search(
        rf"<!-- data card: {name} -->\n(.*?)<!-- end -->", PAGE.read_text("utf-8"), re.DOTALL
    )
    assert found, name
    return found[1]


@cache
def committed() -> dict[str, list[tuple[str, str]]]:
    """Split and SMILES of every structure of every molecule, without reading the arrays."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in shard_paths(ROOT / "data"):
        name = path.parent.name
        if name not in card.APART:
            with h5py.File(path) as file:
                texts = (file[k].asstr()[:] for k in ("inchikey", "split", "smiles"))
                for inchikey, split, smiles in zip(*texts, strict=True):
                    found[inchikey].append((split, smiles))
    return found


BROMINE = Group("bromine", "bromide", False, 7, "[#6]Br", ())
RING = Group("bromine", "bromide on a ring", True, 3, "cBr", ())


def test_molecules_of_a_group_are_counted_once_and_by_split() -> None:
    entries = [
        entry("Brc1ccccc1", "test"),
        entry("CBr", geometry="relaxed"),
        entry("CBr", geometry="thermal"),
        entry("CCBr"),
        entry("CCCBr", "validation"),
        entry("CCCCBr", "extrapolation"),
        entry("CCl"),
    ]
    text = groups((BROMINE, RING), entries)
    # Once in the table of those with few, once in that of the class.
    assert rows(text, r"bromide (bromine)") == [["7", "2", "1", "1"]]
    assert rows(text, "bromide") == [["7", "2", "1", "1"]]
    assert rows(text, "bromide on a ring, held out") == [["3", "0", "0", "1"]]
    assert rows(text, "bromine") == [["2", "1", "2", "2", "1"]]
    assert "1 are held out. **1 of the 1 others have fewer than 5" in text


def test_five_training_molecules_are_not_few() -> None:
    entries = [entry("C" * n + "Br") for n in range(1, 6)]
    assert rows(groups((BROMINE,), entries[:4]), "bromide (bromine)")
    text = groups((BROMINE,), entries)
    assert not rows(text, "bromide (bromine)")
    assert rows(text, "bromide") == [["7", "5", "0", "0"]]


def test_the_page_counts_every_group_of_the_table() -> None:
    text = block("groups")
    mols = {m: Chem.MolFromSmiles(found[0][1]) for m, found in committed().items()}
    for group in coverage_groups():
        pattern = Chem.MolFromSmarts(group.pattern)
        splits = [committed()[m][0][0] for m, mol in mols.items() if mol.HasSubstructMatch(pattern)]
        n = [splits.count(split) for split in ("train", "validation", "test")]
        expected = [str(group.dyes), *map(str, n)]
        name = group.name + ", held out" * group.held_out
        assert rows(text, name) == [expected], STALE
        named = rows(text, f"{group.name} ({group.kind})")
        assert bool(named) == (n[0] < 5 and not group.held_out), STALE
        assert not (group.held_out and n[0]), group.name


def test_the_page_counts_every_element_and_charge() -> None:
    """Elements and charges are those of the SMILES here, those of the records on the page."""
    train: dict[str, list[int]] = defaultdict(list)  # structures of each molecule
    by_charge: dict[tuple[str, int], int] = defaultdict(int)
    for found in committed().values():
        split, smiles = found[0]
        if split == "train":
            charge = Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))
            for name in (*symbols_of(smiles), f"{charge:+d}"):
                train[name].append(len(found))
            for symbol in symbols_of(smiles):
                by_charge[symbol, charge] += 1
    names = {"-2": "dianions (−2)", "-1": "anions (−1)", "+0": "neutral (0)"}
    names |= {"+1": "cations (+1)", "+2": "dications (+2)"}
    assert len(train) == 13 + len(names)
    for name, n in train.items():
        row = f"{names.get(name, f'with {name}')}"
        assert rows(block("elements"), row)[0][:2] == [f"{len(n):,}", f"{sum(n):,}"], STALE
        if name not in names:
            expected = [f"{by_charge[name, charge]:,}" for charge in range(-2, 3)]
            assert rows(block("elements of ions"), row) == [expected], STALE


def test_structures_and_molecules_are_counted_by_charge() -> None:
    entries = [
        entry("C[NH3+]", geometry="relaxed"),
        entry("C[NH3+]", geometry="thermal"),
        entry("CC[NH3+]", "test"),
        entry("C[N+](C)(C)CC(=O)[O-]"),
        entry("CBr"),
    ]
    text = charges_and_elements(entries)
    assert rows(text, "cations (+1)") == [["1", "2", "0", "1"]]
    assert rows(text, "neutral (0)") == [["2", "2", "0", "0"]]
    assert rows(text, "of these, zwitterions") == [["1", "1", "0", "0"]]
    assert rows(elements_of_ions(entries), "with N") == [["1", "1"]]
    assert rows(elements_of_ions(entries), "with Br") == [["1", "0"]]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C[N+](C)(C)CC(=O)[O-]", True),
        ("C[N+](=O)[O-]", False),
        ("C[NH+](C)[O-]", False),
        ("C[NH3+]", False),
        ("[NH3+]CC(=O)[O-].[Na+]", False),
        ("CCO", False),
    ],
)
def test_zwitterions_have_opposite_charges_apart(smiles: str, expected: bool) -> None:
    assert is_zwitterion(smiles) is expected


def test_cost_of_an_element_is_compared_within_a_set() -> None:
    """A set computed on crowded cores takes ten times as long; bromine itself takes twice."""
    quiet = [entry("CCO", directory="quiet", seconds=10.0) for _ in range(5)]
    crowded = [entry("CCO", directory="crowded", seconds=100.0) for _ in range(5)]
    bromides = [entry("CCBr", directory="crowded", seconds=200.0) for _ in range(5)]
    larger = [entry("CCCBr", directory="crowded", seconds=900.0) for _ in range(4)]
    unknown = [entry("CCO", seconds=float("nan"))]
    text = cost_of_elements(quiet + crowded + bromides + larger + unknown)
    none = ["–"] * 4
    assert rows(text, "H, C, N, O only")[0] == ["1", f"{3600 / 55:.0f}", *none]
    assert rows(text, "with Br")[0] == ["2.0 (2.0–2.0)", "18", *none]


def test_cost_is_a_median() -> None:
    entries = [entry("CCO", seconds=s) for s in (1.0, 2.0, 2000.0)]
    assert rows(cost(entries), "3")[0][1] == "2.0"
    assert rows(cost(entries), "3")[0][3] == "1,800"


def test_low_triplets_of_excited_geometries_are_told_apart() -> None:
    entries = [
        entry("C=O", geometry="excited", t1=0.1),
        entry("CN=O", t1=0.2),
        entry("C=C", geometry="twisted", t1=0.4),
        entry("C=C", t1=4.0),
    ]
    said = "3 structures have a T1 below 0.5 eV: 1 in geometries of excited molecules; of the 2 "
    assert low_triplets(entries) == said + "others, 1 are nitroso compounds."


def test_the_training_sets_counted_are_those_of_the_shipped_models() -> None:
    counted = set()
    for path in shard_paths(ROOT / "data"):
        with h5py.File(path) as file:
            if path.parent.name not in card.APART and "train" in file["split"].asstr()[:]:
                counted.add(path.parent.name)
    assert counted == {path.name for path in SETS}
