"""Bonds and chains of elements that no training molecule has are out of domain, and named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import read_all

import esml
from esml.confidence import Chains, Domain
from esml.confidence.bonds import MOST
from esml.physics.basis import ELEMENTS
from esml.predict.surrogate import Surrogate

DATA = Path(__file__).parents[1] / "data"
STRUCTURES: dict[str, Atoms] = {
    atoms.info["name"]: atoms for atoms in read_all(DATA / "field_cases" / "11_peroxides.xyz")
}


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(DATA / "version-0.1.0.safetensors")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("hydrogen_peroxide", "no O–O bond in the training data"),
        ("methyl_hydroperoxide", "no O–O bond in the training data"),
        ("dimethyl_peroxide", "no O–O bond in the training data"),
        ("dioxirane", "no O–O bond in the training data"),
        ("dimethyl_trisulfide", "no S–S–S chain in the training data"),
    ],
)
def test_bonds_never_trained_on_are_named(model: Surrogate, name: str, what: str) -> None:
    result = model.predict(STRUCTURES[name], 2)
    assert not result.in_domain
    assert [w for w in result.warnings if "training data" in w] == [
        f"{what}: the prediction is an extrapolation"
    ]


@pytest.mark.parametrize(
    "atoms",
    [molecule("CH3CHO"), molecule("CH3CONH2"), STRUCTURES["dimethyl_disulfide"]],
    ids=lambda atoms: str(atoms.symbols),
)
def test_known_bonds_are_in_domain(model: Surrogate, atoms: Atoms) -> None:
    result = model.predict(atoms, 2)
    assert not [w for w in result.warnings if "training data" in w]
    assert result.in_domain


def test_without_the_tensors_all_bonds_count_as_seen(model: Surrogate) -> None:
    assert model.domain is not None
    state = model.domain.state()
    old = Domain({k: v for k, v in state.items() if k not in Domain.OPTIONAL})
    assert state.keys() - old.state().keys() == {"pairs", "triples", "linkages"}
    bare = Surrogate(model.hamiltonian, model.metadata, old, model.error_model).eval()
    for atoms in STRUCTURES.values():
        assert not [w for w in bare.predict(atoms, 2).warnings if "training data" in w]


def test_water_is_no_training_molecule(model: Surrogate) -> None:
    """Nor has any of them an oxygen between two hydrogens; its bonds were strange before."""
    result = model.predict(molecule("H2O"), 2)
    assert not result.in_domain
    assert any("no H–O–H chain" in warning for warning in result.warnings)


@pytest.mark.parametrize("version", [2, 3])
def test_older_model_files_count_all_as_seen(version: int) -> None:
    older = esml.load_model(DATA / f"version-{version}.safetensors")
    assert older.domain is not None
    assert older.domain.pairs is None
    # These small models find the peroxide unstable, so it is the domain that is asked.
    graph = older.graph([STRUCTURES["hydrogen_peroxide"]])
    with torch.no_grad():
        surroundings = older.domain(graph, older.hamiltonian(graph).features)
    (verdict,) = older.domain.verdicts(graph, surroundings)
    assert not [w for w in verdict.warnings if "training data" in w]


def test_bonds_and_chains_of_each_atom(model: Surrogate) -> None:
    """H–O–O–H and a water molecule far away: two hydrogens make a chain, one does not."""
    peroxide, water = STRUCTURES["hydrogen_peroxide"], molecule("H2O")
    graph = model.graph([peroxide, water])
    chains = Chains.of(graph)
    ends = graph.numbers[torch.stack([chains.source, chains.target])].T.tolist()
    assert Counter(map(tuple, ends)) == {(1, 8): 4, (8, 1): 4, (8, 8): 2}
    found = torch.stack(chains.kinds(graph.numbers), 1).tolist()
    assert Counter((o, *sorted(both)) for o, *both in found) == {(8, 1, 8): 2, (8, 1, 1): 1}


def test_every_pair_of_neighbours_is_one_chain(model: Surrogate) -> None:
    """n (n − 1) / 2 of them at an atom with n neighbours."""
    graph = model.graph([molecule("C6H6"), molecule("CH3CHO"), molecule("C2H2")])
    chains = Chains.of(graph)
    neighbours = torch.bincount(chains.source, minlength=len(graph.numbers))
    middle, first, last = chains.kinds(torch.arange(len(graph.numbers)))
    count = torch.bincount(middle, minlength=len(graph.numbers))
    assert torch.equal(count, neighbours * (neighbours - 1) // 2)
    ends = {frozenset(row) for row in torch.stack([middle, first, last], 1).tolist()}
    assert len(ends) == len(middle)


def test_files_from_before_new_elements_keep_their_chains(model: Surrogate) -> None:
    """Classes of new elements come after the others, and no training molecule has them."""
    assert model.domain is not None
    linkages, triples = model.domain.linkages, model.domain.triples
    assert linkages is not None
    assert triples is not None
    classes = len(ELEMENTS) * (MOST + 1)
    assert linkages.shape == (classes, classes, classes)
    assert torch.equal(linkages, linkages.mT)
    by_element = linkages.unflatten(2, (-1, MOST + 1)).any(3)
    by_element = by_element.unflatten(1, (-1, MOST + 1)).any(2)
    by_element = by_element.unflatten(0, (-1, MOST + 1)).any(1)
    assert torch.equal(by_element, triples)
