"""Expected errors of predictions, and whether a molecule is in the domain of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from esml.confidence.domain import Domain, Verdict, unfamiliar
from esml.confidence.uncertainty import ErrorModel, descriptors, of_atoms
from esml.confidence.valence import no_valence_state
from esml.model.graph import Graph
from esml.predict.solution import Solution, Stated


def stated_errors(
    graph: Graph,
    solution: Solution,
    domain: Domain | None,
    error_model: ErrorModel | None,
    metadata: Mapping[str, Any],
) -> Stated:
    """Return expected errors and domain verdicts for the ``solution`` of ``graph``. No gradients.

    σ² = u² + s². u comes from the error model and estimates how far the network is from its labels.
    s (``metadata["method_rmse_eV"]``) is for models fitted to better energies: how far the fitted
    response is from those, the same for all states of a multiplicity.

    Without an error model, σ is the root mean square error on validation molecules; without a
    domain, only elements and charges are checked.
    """
    atoms = None
    if domain is not None:
        surroundings = domain(graph, solution.operators.features)
        verdicts = domain.verdicts(
            graph,
            surroundings,
            novelty_widens=error_model is not None,
            size_widens=error_model is not None and error_model.knows("size"),
        )
        atoms = of_atoms(solution.operators.layout, solution.charges.detach(), surroundings)
    else:
        verdicts = _by_composition(graph, solution, set(metadata.get("elements", ())))
    homo = solution.orbitals.homo
    missing = no_valence_state(solution.triplets.energies, homo, graph.charges)
    return Stated(
        singlets=_errors("singlets", solution, atoms, error_model, metadata),
        triplets=_errors("triplets", solution, atoms, error_model, metadata),
        verdicts=[v.but(reason) for v, reason in zip(verdicts, missing, strict=True)],
    )


def _by_composition(graph: Graph, solution: Solution, seen: set[int]) -> list[Verdict]:
    """Verdicts from elements and charges only; ``seen`` are the elements in training."""
    sizes = solution.operators.layout.n_atoms.tolist()
    verdicts = []
    for numbers, charge in zip(graph.numbers.split(sizes), graph.charges, strict=True):
        reasons = unfamiliar(numbers.tolist(), int(charge), seen)
        verdicts.append(Verdict(not reasons, tuple(reasons)))
    return verdicts


def _errors(
    name: str,
    solution: Solution,
    atoms: Tensor | None,
    error_model: ErrorModel | None,
    metadata: Mapping[str, Any],
) -> Tensor:
    """σ (M, S) of singlets or triplets (``name``); ``atoms`` are descriptors from ``of_atoms``."""
    triplets = name == "triplets"
    found = solution.triplets if triplets else solution.singlets
    if error_model is None or atoms is None:
        error = float(metadata.get("validation_rmse_eV", {}).get(name, np.nan))
        return torch.full_like(found.energies, error)
    layout = solution.operators.layout
    u: Tensor = error_model(descriptors(found, solution.orbitals, layout, atoms, triplets))
    return u.hypot(u.new_tensor(float(metadata.get("method_rmse_eV", {}).get(name, 0.0))))
