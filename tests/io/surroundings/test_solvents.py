"""Solvents by name: the table, and what is said of a name that is not in it."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest
from ase.build import molecule

from esml.io.surroundings import (
    SolventError,
    SurroundingsError,
    as_solvent,
    each_within,
    find_solvent,
    solvents,
    surroundings_of,
    within,
)
from esml.physics.solvent import Solvent


def test_the_table_is_large_and_sound() -> None:
    assert len(solvents()) >= 60
    for name, solvent in solvents().items():
        assert solvent.name == name
        assert 1.7 < solvent.epsilon < 200
        assert 1.25 < solvent.refractive_index < 1.8
        # Electrons alone never screen more than everything together, but for rounding.
        assert solvent.optical < 1.15 * solvent.epsilon


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("water", "water"),
        ("H2O", "water"),
        ("EtOH", "ethanol"),
        ("DMSO", "dimethyl sulfoxide"),
        ("THF", "tetrahydrofuran"),
        ("n-hexane", "hexane"),
        ("N,N-Dimethyl formamide", "N,N-dimethylformamide"),
        ("CC#N", "acetonitrile"),
        ("ClCCl", "dichloromethane"),
    ],
)
def test_synonyms_and_smiles_are_known(given: str, name: str) -> None:
    found = find_solvent(given)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("CDCl3", "chloroform"),
        ("chloroform-d", "chloroform"),
        ("DMSO-d6", "dimethyl sulfoxide"),
        ("d6-DMSO", "dimethyl sulfoxide"),
        ("methanol-d4", "methanol"),
        ("acetonitrile-d3", "acetonitrile"),
        ("acetone-d6", "acetone"),
        ("benzene-d6", "benzene"),
        ("(CD3)2CO", "acetone"),
        ("D2O", "heavy water"),
        ("water-d2", "heavy water"),
        ("MTBE", "tert-butyl methyl ether"),
        ("HFIP", "1,1,1,3,3,3-hexafluoro-2-propanol"),
        ("TFA", "trifluoroacetic acid"),
        ("MeTHF", "2-methyltetrahydrofuran"),
        ("γ-butyrolactone", "gamma-butyrolactone"),
    ],
)
def test_usual_short_names_and_deuterated_ones_are_known(given: str, name: str) -> None:
    assert find_solvent(given) == solvents()[name]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("OCC", "ethanol"),
        ("CS(=O)C", "dimethyl sulfoxide"),
        ("C1=CC=CC=C1", "benzene"),
        ("[2H]C(Cl)(Cl)Cl", "chloroform"),
        ("[2H]C([2H])([2H])S(=O)C([2H])([2H])[2H]", "dimethyl sulfoxide"),
        ("O([2H])[2H]", "heavy water"),
        ("[H]O[H]", "water"),
    ],
)
def test_smiles_may_be_written_in_any_order(given: str, name: str) -> None:
    pytest.importorskip("rdkit")
    assert find_solvent(given) == solvents()[name]


def test_values_are_those_of_handbooks() -> None:
    water, hexane = find_solvent("water"), find_solvent("hexane")
    assert water is not None
    assert hexane is not None
    assert water.epsilon == pytest.approx(78.4, abs=0.1)
    assert water.refractive_index == pytest.approx(1.333, abs=1e-3)
    assert (water.acidity, hexane.acidity) == (0.82, 0.0)
    assert hexane.epsilon == pytest.approx(1.88, abs=0.01)


MINNESOTA = {
    "propanenitrile": "propanonitrile",
    "butanenitrile": "butanonitrile",
    "N-methylformamide": "N-methylformamide(E/Zmixture)",
    "sulfolane": "tetrahydrothiophene-S,S-dioxide",
    "ethyl formate": "ethylmethanoate",
    "decalin": "decalin (cis/trans mixture)",
}
"""Names of the Minnesota database that are not among ours."""


def test_values_are_those_of_the_minnesota_database() -> None:
    """As PySCF holds them for SMD: n first, acidity third, ε sixth."""
    smd = pytest.importorskip("pyscf.solvent.smd")
    known = {"".join(name.lower().split()): values for name, values in smd.solvent_db.items()}
    text = (files("esml.io.surroundings") / "solvents.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["source"] == "MNSol"]
    assert len(rows) > 100
    for row in rows:
        names = [MINNESOTA.get(row["name"], row["name"]), *row["synonyms"].split(";")]
        plain = ["".join(name.lower().split()) for name in names]
        values = next(known[name] for name in plain if name in known)
        assert float(row["epsilon"]) == pytest.approx(values[5], rel=2e-3), row["name"]
        assert float(row["refractive_index"]) == pytest.approx(values[0], abs=1e-3), row["name"]
        if row["acidity"]:
            assert float(row["acidity"]) == values[2], row["name"]
        else:
            assert values[2] <= 0.15, row["name"]


@pytest.mark.parametrize("given", ["vacuum", "Gas", "", None])
def test_vacuum_is_no_solvent(given: str | None) -> None:
    assert as_solvent(given) is None


def test_numbers_make_a_solvent() -> None:
    assert find_solvent("24.3, 1.36") == Solvent(24.3, 1.36)
    acidic = Solvent(24.3, 1.36, acidity=0.37)
    assert find_solvent("24.3, 1.36, 0.37") == acidic == find_solvent(acidic.label)
    assert str(acidic) == "ε 24.3, n 1.36, acidity 0.37"
    with pytest.raises(SolventError, match="at least 1"):
        find_solvent("0.3,1.36")


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ("1.36,24.3", "refractive_index of a solvent is 24.3: expected at most 2.5"),  # swapped
        ("1.4,2.2", "has a square above its epsilon 1.4"),  # swapped
        ("24,1,36", "acidity of a solvent is 36: expected .* decimal point"),  # decimal comma
        ("24.3,inf", "is not known"),
    ],
)
def test_numbers_that_are_no_solvent_are_refused(numbers: str, said: str) -> None:
    with pytest.raises(SolventError, match=said) as told:
        find_solvent(numbers)
    assert str(told.value).count(". ") == 0


def test_every_listed_solvent_is_possible() -> None:
    """Also the nonpolar ones, whose n² is above ε in part."""
    assert len(solvents()) > 110
    assert any(solvent.optical > solvent.epsilon for solvent in solvents().values())


@pytest.mark.parametrize(
    ("typo", "nearest"),
    [("ethanl", "ethanol"), ("tolune", "toluene"), ("acetonitrl", "acetonitrile")],
)
def test_a_typo_is_told_with_the_nearest_names(typo: str, nearest: str) -> None:
    with pytest.raises(SolventError, match=nearest) as told:
        find_solvent(typo)
    assert str(told.value).count(". ") == 0


@pytest.mark.parametrize("given", ["TFX", "petrol", "CO gas", "CCCl.O"])
def test_nothing_is_suggested_where_nothing_is_near(given: str) -> None:
    with pytest.raises(SolventError, match=r"solvents\.md such as water, ethanol or toluene;"):
        find_solvent(given)


def test_what_is_no_solvent_is_refused() -> None:
    with pytest.raises(SolventError, match="expected a name"):
        as_solvent(3.5)


def test_atoms_carry_their_solvent() -> None:
    water = molecule("H2O")
    assert surroundings_of(water).solvent is None
    placed = within(water, "toluene")
    assert surroundings_of(placed).solvent == solvents()["toluene"]
    assert "solvent" not in water.info
    assert surroundings_of(within(placed, "vacuum")).solvent is None


def test_one_solvent_for_each_structure() -> None:
    structures = [molecule("H2O"), molecule("CH4")]
    placed = list(each_within(structures, ["water", None]))
    assert [surroundings_of(atoms).solvent for atoms in placed] == [solvents()["water"], None]
    for wrong in (["water"], ["water"] * 3):
        with pytest.raises(SurroundingsError, match="expected as many as structures"):
            list(each_within(structures, wrong))
