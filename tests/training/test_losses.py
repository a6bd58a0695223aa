"""Losses vanish for a model's own states, and each notices its own deviation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from training_cases import ORDER, own_states

from esml.io.records import Record
from esml.physics.response import Response
from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate
from esml.training.config import LossWeights
from esml.training.losses import exact_energies, losses, match, rayleigh
from esml.training.targets import Targets, structure


def test_a_model_has_no_loss_against_itself(
    surrogate: Surrogate, solved: Solution, own: Targets, records: list[Record]
) -> None:
    graph = surrogate.graph([structure(r) for r in records])
    with torch.no_grad():
        terms = losses(solved.operators, graph, own, LossWeights.model_fields)
    assert terms.keys() == LossWeights.model_fields.keys()
    for name, term in terms.items():
        assert abs(float(term)) < 1e-9, name


def test_every_loss_notices_its_own_deviation(
    surrogate: Surrogate, solved: Solution, own: Targets, records: list[Record]
) -> None:
    """Moved labels: each term is the size its formula tells, and the others stay zero."""
    graph = surrogate.graph([structure(r) for r in records])

    def terms(targets: Targets) -> dict[str, float]:
        with torch.no_grad():
            found = losses(solved.operators, graph, targets, LossWeights.model_fields)
        return {name: float(term) for name, term in found.items() if abs(float(term)) > 1e-9}

    assert terms(replace(own, charges=own.charges + 0.1)) == {"charges": pytest.approx(0.01)}
    shift = torch.tensor([0.1, 0.2, -0.2], dtype=torch.float64)
    assert terms(replace(own, dipole=own.dipole + shift)) == {"dipole": pytest.approx(0.09)}
    orbital_energies = own.orbital_energies + 0.3
    # Huber with a width of 0.1: |x| − 0.05.
    assert terms(replace(own, orbital_energies=orbital_energies)) == {
        "orbitals": pytest.approx(0.25),
        "levels": pytest.approx(0.125),  # the HOMO moves, the gap does not
    }
    moved = replace(own.triplets, energies=own.triplets.energies + 0.3)
    found = terms(replace(own, triplets=moved))
    assert found == {
        "energies": pytest.approx(0.125),
        "exact_energies": pytest.approx(0.125),
    }
    eye = torch.eye(own.hamiltonian.shape[1], dtype=torch.float64)
    found = terms(replace(own, hamiltonian=own.hamiltonian + 0.5 * eye))
    assert found == {"hamiltonian": pytest.approx(0.25)}


def test_mixed_states_are_not_aligned(solved: Solution, own: Targets) -> None:
    """Two states rotated into each other by θ couple by ½ sin 2θ (ω₁ − ω₀), once each way."""
    response = Response(solved.orbitals, solved.operators.interaction, solved.operators.layout)
    labels = own_states(solved.triplets, solved, list(range(8)))
    m = 4
    pair = labels.energies[m, :2]
    assert pair[1] - pair[0] > 0.1
    theta = 0.3
    turn = torch.eye(8, dtype=torch.float64)
    turn[:2, :2] = torch.tensor(
        [[math.cos(theta), math.sin(theta)], [-math.sin(theta), math.cos(theta)]]
    )
    plus = labels.plus.clone()
    plus[m] = torch.einsum("st,tuv->suv", turn, plus[m])
    only = torch.zeros_like(labels.mask)
    only[m] = labels.mask[m]
    mixed = replace(labels, plus=plus, minus=plus, mask=only)
    _, alignment, _, usable = rayleigh(response, mixed, ("triplet", "triplet"))
    assert usable.sum() == only.sum() == 8
    coupling = 0.5 * math.sin(2 * theta) * float(pair[1] - pair[0])
    assert float(alignment.detach()) == pytest.approx(2 * coupling**2 / (8 * 7), rel=1e-4)


def test_states_are_matched_whatever_their_order(solved: Solution, own: Targets) -> None:
    for found, labels in ((solved.singlets, own.singlets), (solved.triplets, own.triplets)):
        places = match(found, solved.orbitals, labels)
        expected = torch.where(labels.mask, torch.tensor(ORDER).expand_as(places), -1)
        # Degenerate partners (those of linear molecules) may stand in for each other.
        energies = found.energies.nan_to_num()
        assert torch.equal(places >= 0, expected >= 0)
        one, other = (energies.gather(1, x.clamp(min=0)) for x in (places, expected))
        assert torch.allclose(one, other, atol=1e-6)
        bent = [m for m, e in enumerate(energies) if e[e > 0].diff().min() > 1e-6]
        assert len(bent) > 6
        assert torch.equal(places[bent], expected[bent])
        assert float(exact_energies(found, solved.orbitals, labels)) < 1e-9
