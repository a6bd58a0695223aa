"""The reference space: deterministic, unique, clean, and apart from what it is judged on."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("rdkit")

from rdkit import Chem
from rdkit.Chem import rdDetermineBonds

from reference import enumeration
from reference.building_blocks import EXTRAPOLATION, HELD_OUT, SATURATED, UNSTABLE
from reference.enumeration import (
    SIZE_WEIGHTS,
    SYMBOLS,
    enumerate_molecules,
    sample_molecules,
)
from reference.molecules import (
    Molecule,
    assign_split,
    benchmark_connectivities,
    coverage_molecules,
    dye_molecules,
    extrapolation_molecules,
    held_out_core,
    larger_molecules,
    molecule_from_smiles,
    parse,
    unstable_group,
)

ROOT = Path(__file__).parents[2]
KEY_FILE = ROOT / "reference" / "benchmark_inchikeys.txt"
BENCHMARK = ROOT.parent / "shared" / "quest_main" / "quest_main.json"


@pytest.fixture(scope="module")
def pool() -> list[Molecule]:
    return enumerate_molecules()


def test_pool_is_large_unique_and_sorted(pool: list[Molecule]) -> None:
    sizes = Counter(m.n_heavy for m in pool)
    assert len(pool) >= 6000
    assert set(sizes) == set(range(2, 10))
    assert len({m.inchikey for m in pool}) == len(pool)
    assert len({m.smiles for m in pool}) == len(pool)
    assert pool == sorted(pool, key=lambda m: (m.n_heavy, m.smiles))


def test_smaller_pool_is_the_beginning_and_repeats(pool: list[Molecule]) -> None:
    small = enumeration._enumerate.__wrapped__(5)  # anew, not what the cache holds
    assert list(small) == pool[: len(small)]
    assert pool[len(small)].n_heavy == 6


def test_the_pool_is_that_of_the_shipped_data() -> None:
    # Of the tables as they were when the data were made; another order is another sample.
    text = "\n".join(molecule.smiles for molecule in enumerate_molecules(5))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "3bba8334ad8c177560a5e6a0a0e22086fd4a2c5a13f67124b3729db71833fbbb"


def test_heavy_atoms_out_of_range() -> None:
    with pytest.raises(ValueError, match="between 2 and 9, not 10"):
        enumerate_molecules(10)


def test_members_are_neutral_closed_shell_and_of_the_elements(pool: list[Molecule]) -> None:
    for molecule in pool[::10]:
        mol = Chem.AddHs(parse(molecule.smiles))
        assert {a.GetSymbol() for a in mol.GetAtoms()} <= SYMBOLS
        assert Chem.GetFormalCharge(mol) == 0
        assert not any(a.GetNumRadicalElectrons() for a in mol.GetAtoms())
        assert sum(a.GetAtomicNum() for a in mol.GetAtoms()) % 2 == 0
        assert molecule.n_heavy == mol.GetNumHeavyAtoms()
        assert molecule.name == molecule.smiles == Chem.MolToSmiles(parse(molecule.smiles))
        assert molecule.inchikey == Chem.MolToInchiKey(parse(molecule.smiles))
        assert unstable_group(parse(molecule.smiles)) is None


@pytest.mark.parametrize(
    "smiles",
    [
        *("COOC", "CNF", "COF", "CC(=O)OCl", "CC(O)O", "NNN", "CSO", "CSSS", "CN(C)Cl"),
        *("CN=NN", "OC(=O)O", "C#CO", "OC(O)O", "NCO", "OCF", "CON=C=O", "O=NN=O", "CSN"),
    ],
)
def test_unstable_groups_are_refused(smiles: str) -> None:
    assert unstable_group(parse(smiles)) is not None


@pytest.mark.parametrize(
    "smiles",
    [
        *("C[N+](=O)[O-]", "CN=[N+]=[N-]", "CSSC", "CO[N+](=O)[O-]", "CS(C)(=O)=O", "NN", "CN=NC"),
        *("CC(=O)O", "NC(N)=O", "c1nn[nH]n1", "c1cnon1", "c1cnsn1", "C=[N+]=[N-]", "CON=O", "CON"),
    ],
)
def test_sound_groups_are_kept(smiles: str) -> None:
    assert unstable_group(parse(smiles)) is None


def test_patterns_compile() -> None:
    for smarts in [*UNSTABLE.values(), *HELD_OUT.values()]:
        assert Chem.MolFromSmarts(smarts) is not None, smarts


def test_familiar_molecules_are_there(pool: list[Molecule]) -> None:
    connectivities = {m.connectivity for m in pool}
    for smiles in ["C=CC#N", "Cc1ccccc1", "CN=NC", "C[N+](=O)[O-]", "Cc1ccco1", "CC(N)=O", "CCO"]:
        assert molecule_from_smiles(smiles).connectivity in connectivities, smiles


def test_sample_is_a_prefix_of_a_longer_one() -> None:
    long = sample_molecules(400, seed=3, max_heavy=5)
    assert sample_molecules(120, seed=3, max_heavy=5) == long[:120]
    assert len({m.inchikey for m in long}) == 400
    assert sample_molecules(120, seed=4, max_heavy=5) != long[:120]
    assert all(m.n_heavy <= 5 for m in long)


def test_sample_follows_its_weights(pool: list[Molecule]) -> None:
    assert abs(sum(SIZE_WEIGHTS.values()) - 1.0) < 1e-12
    drawn = sample_molecules(1000, seed=0)
    sizes = Counter(m.n_heavy for m in drawn)
    assert sum(sizes[n] for n in range(3, 8)) > 700
    assert sizes[9] > 30
    share = sum(m.scaffold in SATURATED for m in drawn) / len(drawn)
    assert 0.10 < share < 0.20
    only_three = sample_molecules(20, seed=0, size_weights={3: 1.0})
    assert {m.n_heavy for m in only_three} == {3}


def test_sample_larger_than_the_pool() -> None:
    with pytest.raises(ValueError, match="the molecules there are"):
        sample_molecules(10**6, seed=0, max_heavy=4)


def test_split_shares_and_new_scaffolds(pool: list[Molecule]) -> None:
    some = pool[::5]
    splits = Counter(assign_split(m) for m in some)
    assert abs(splits["train"] / len(some) - 0.80) < 0.02
    assert abs(splits["validation"] / len(some) - 0.08) < 0.02
    held_out = [m for m in some if held_out_core(m) is not None]
    assert len(held_out) > 50
    assert all(assign_split(m) == "test" for m in held_out)


def test_splits_are_disjoint_by_connectivity(pool: list[Molecule]) -> None:
    split_of: dict[str, str] = {}
    for molecule in pool[::5]:
        assert split_of.setdefault(molecule.connectivity, assign_split(molecule)) == assign_split(
            molecule
        )
    for one, other in [("C/N=N/C", "C/N=N\\C"), ("C[C@H](F)Cl", "C[C@@H](F)Cl")]:
        pair = molecule_from_smiles(one), molecule_from_smiles(other)
        assert pair[0].inchikey != pair[1].inchikey
        assert assign_split(pair[0]) == assign_split(pair[1])


def test_key_file_is_well_formed() -> None:
    lines = [x for x in KEY_FILE.read_text().splitlines() if not x.startswith("#")]
    assert len(lines) >= 93
    for line in lines:
        assert re.fullmatch(r"[A-Z]{14}-[A-Z]{10}-[A-Z]  \S+", line), line
    names = [line.split()[1] for line in lines]
    assert len(set(names)) == len(names)
    known = {"Benzene": "c1ccccc1", "Acrolein": "C=CC=O", "Naphthalene": "c1ccc2ccccc2c1"}
    for name, smiles in known.items():
        key = molecule_from_smiles(smiles).inchikey
        assert f"{key}  {name}" in lines


def test_no_benchmark_molecule_is_sampled(pool: list[Molecule]) -> None:
    keys = benchmark_connectivities()
    assert len(keys) >= 93
    assert not keys & {m.connectivity for m in pool}
    for smiles in ["C=CC=C", "c1ccncc1", "Nc1ccc(cc1)[N+](=O)[O-]", "[O-]c1ccccc1"]:
        assert assign_split(molecule_from_smiles(smiles)) == "test"


@pytest.mark.skipif(not BENCHMARK.exists(), reason="the benchmark's geometries are not at hand")
def test_key_file_agrees_with_the_benchmark_geometries() -> None:
    entries = [x for x in KEY_FILE.read_text().splitlines() if not x.startswith("#")]
    key_of = {name: key for key, name in (entry.split() for entry in entries)}
    perceived = 0
    for record in json.loads(BENCHMARK.read_text()):
        assert record["name"] in key_of
        rows = zip(record["symbols"], record["positions_angstrom"], strict=True)
        lines = [f"{symbol} {x} {y} {z}" for symbol, (x, y, z) in rows]
        mol = Chem.MolFromXYZBlock("\n".join([str(len(lines)), "", *lines]))
        try:
            rdDetermineBonds.DetermineBonds(mol, charge=record["charge"])
        except ValueError:  # carbenes and other oddities have no perceivable Lewis structure
            continue
        perceived += 1
        assert Chem.MolToInchiKey(mol)[:14] == key_of[record["name"]][:14], record["name"]
    assert perceived >= 85


def test_extrapolation_set_lies_outside(pool: list[Molecule]) -> None:
    larger = extrapolation_molecules()
    assert len(larger) == len(EXTRAPOLATION) >= 36
    assert len({m.name for m in larger}) == len({m.inchikey for m in larger}) == len(larger)
    assert all(10 <= m.n_heavy <= 24 for m in larger)
    assert all(assign_split(m) == "test" for m in larger)
    connectivities = {m.connectivity for m in larger}
    # The smallest two acene-like hydrocarbons are in the benchmark too; both sets are for testing.
    shared = connectivities & benchmark_connectivities()
    assert {m.name for m in larger if m.connectivity in shared} == {"naphthalene", "azulene"}
    assert not connectivities & {m.connectivity for m in pool}
    for molecule in larger:
        mol = parse(molecule.smiles)
        assert {a.GetSymbol() for a in mol.GetAtoms()} <= SYMBOLS
        assert Chem.GetFormalCharge(mol) == 0


def test_dyes_are_never_trained_on(pool: list[Molecule]) -> None:
    dyes = dye_molecules()
    assert len({m.inchikey for m in dyes}) == len(dyes)
    assert all(assign_split(m) == "test" for m in dyes)
    sampled = {m.connectivity for m in pool} | {m.connectivity for m in coverage_molecules()}
    assert not {m.connectivity for m in dyes} & sampled
    charges = {m.name: Chem.GetFormalCharge(parse(m.smiles)) for m in dyes}
    assert {name: q for name, q in charges.items() if q} == {
        "rhodamine 110": 1,
        "fluorescein dianion": -2,
        "Cy3": 1,
    }


def test_larger_molecules_are_neither_those_for_testing_nor_drawn_twice() -> None:
    larger = larger_molecules()
    assert len({m.connectivity for m in larger}) == len(larger)
    assert all(8 <= m.n_heavy <= 14 for m in larger)
    assert {assign_split(m) for m in larger} == {"train", "validation"}
    for_testing = {m.connectivity for m in (*extrapolation_molecules(), *dye_molecules())}
    assert not {m.connectivity for m in larger} & (for_testing | benchmark_connectivities())


def test_invalid_smiles_is_named() -> None:
    with pytest.raises(ValueError, match=r"'C1CC' is not a valid SMILES"):
        molecule_from_smiles("C1CC")


def test_a_benzenoid_sample_has_six_membered_aromatic_rings() -> None:
    chosen = sample_molecules(20, 0, family="benzenoid")
    assert len({m.inchikey for m in chosen}) == 20
    for molecule in chosen:
        mol = Chem.MolFromSmiles(molecule.smiles)
        rings = [r for r in mol.GetRingInfo().AtomRings() if len(r) == 6]
        assert any(all(mol.GetAtomWithIdx(i).GetIsAromatic() for i in ring) for ring in rings)
    assert sample_molecules(10, 0, family="benzenoid") == chosen[:10]


def test_families_are_conjugated_hydrocarbons_and_fused_cores() -> None:
    hydrocarbons = sample_molecules(None, 0, family="hydrocarbon")
    assert "C=Cc1ccccc1" in {m.smiles for m in hydrocarbons}
    for molecule in hydrocarbons:
        mol = Chem.MolFromSmiles(molecule.smiles)
        for atom in mol.GetAtoms():
            assert atom.GetSymbol() == "C"
            # Every carbon takes part in a multiple bond.
            assert any(bond.GetBondTypeAsDouble() > 1 for bond in atom.GetBonds())
    fused = sample_molecules(None, 0, 9, family="fused")
    assert {m.n_heavy for m in fused} == {8, 9}
    with pytest.raises(ValueError, match="family must be one of benzenoid, hydrocarbon, fused"):
        sample_molecules(None, 0, 4, family="acenes")  # type: ignore[arg-type]
