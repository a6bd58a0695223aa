"""Objectives: how each kind of model is built, trained, scored and saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from esml.io.records import Record
from esml.model import checkpoint
from esml.model.direct import Direct, DirectConfig
from esml.model.graph import Graph
from esml.model.hamiltonian import EffectiveHamiltonian, HamiltonianConfig
from esml.physics.basis import ELEMENTS
from esml.predict.model_files import save_model
from esml.predict.surrogate import Surrogate
from esml.training import direct
from esml.training.calibration import calibrate_file
from esml.training.config import TrainingConfig
from esml.training.evaluation import evaluate_records
from esml.training.losses import EXCITATIONS, losses
from esml.training.targets import collate

N_BASELINE = 2000
"""Number of records over which the on-site levels of the elements are averaged; for an element that
none of these contains, the other records are used."""


class Objective(Protocol):
    """Interface between the training loop and a kind of model."""

    def build(self) -> Any:
        """Make an untrained model, with a ``cutoff``."""

    def prepare(self, model: Any, records: Sequence[Record]) -> None:
        """Set the starting values of ``model`` to means over ``records``."""

    def weights(self, progress: float) -> dict[str, float]:
        """Return weights of the loss terms by name; ``progress`` runs from 0 to 1 over the run."""

    def terms(
        self, model: Any, graph: Graph, records: Sequence[Record], progress: float
    ) -> dict[str, Tensor]:
        """Return unweighted loss terms by the same names."""

    def evaluate(self, model: Any, records: Sequence[Record]) -> dict[str, Any]:
        """Return mean absolute errors by name."""

    def save(self, model: Any, metadata: dict[str, Any], path: Path) -> None:
        """Write the model file."""

    def complete(
        self, path: Path, training: Sequence[Record], validation: Sequence[Record]
    ) -> None:
        """Add the domain and the error model to the finished model file."""


def objective(config: TrainingConfig) -> Objective:
    """Return the objective for the kind of model that ``config`` describes."""
    if isinstance(config.model, DirectConfig):
        return DirectObjective(config, config.model)
    return HamiltonianObjective(config, config.model)


def onsite_levels(records: Sequence[Record]) -> dict[int, dict[str, float]]:
    """Return mean diagonal elements ε_s and ε_p (eV) of every element in ``records``."""
    rest = _mean_levels(records[N_BASELINE:])
    return rest | _mean_levels(records[:N_BASELINE])


def _mean_levels(records: Sequence[Record]) -> dict[int, dict[str, float]]:
    values: dict[int, dict[str, list[float]]] = {z: {"s": [], "p": []} for z in ELEMENTS}
    for record in records:
        diagonal = np.diag(record.hamiltonian)
        start = 0
        for z in record.numbers.tolist():
            values[z]["s"].append(diagonal[start])
            if z != 1:
                values[z]["p"].extend(diagonal[start + 1 : start + 4])
            start += 1 if z == 1 else 4
    return {
        z: {name: float(np.mean(found)) for name, found in entry.items() if found}
        for z, entry in values.items()
        if entry["s"]
    }


class HamiltonianObjective:
    """Training of an effective Hamiltonian with its orbitals and excited states."""

    def __init__(self, config: TrainingConfig, form: HamiltonianConfig) -> None:
        self._config, self._form = config, form

    def build(self) -> EffectiveHamiltonian:
        return EffectiveHamiltonian(self._form)

    def prepare(self, model: EffectiveHamiltonian, records: Sequence[Record]) -> None:
        model.set_baseline(onsite_levels(records))

    def weights(self, progress: float) -> dict[str, float]:
        weights: dict[str, float] = self._config.losses.model_dump()
        weights["hamiltonian"] *= self._config.hamiltonian_decay**progress
        if progress < self._config.excitations_from:
            weights |= dict.fromkeys(EXCITATIONS, 0.0)
        if progress < self._config.exact_from:
            weights["exact_energies"] = 0.0
        return weights

    def terms(
        self, model: EffectiveHamiltonian, graph: Graph, records: Sequence[Record], progress: float
    ) -> dict[str, Tensor]:
        config = self._config
        wanted = [name for name, weight in self.weights(progress).items() if weight > 0]
        targets = collate(records, config.valence_weight, config.energy_limit)
        targets = targets.to(graph.positions.device)
        return losses(model(graph).double(), graph, targets, wanted)

    def evaluate(self, model: EffectiveHamiltonian, records: Sequence[Record]) -> dict[str, Any]:
        return evaluate_records(Surrogate(model).eval(), records)

    def save(self, model: EffectiveHamiltonian, metadata: dict[str, Any], path: Path) -> None:
        save_model(Surrogate(model, metadata), path)

    def complete(
        self, path: Path, training: Sequence[Record], validation: Sequence[Record]
    ) -> None:
        calibrate_file(path, training, validation)


class DirectObjective:
    """Training of a direct model, which reads energies and strengths from atomic features."""

    def __init__(self, config: TrainingConfig, form: DirectConfig) -> None:
        self._config, self._form = config, form

    def build(self) -> Direct:
        return Direct(self._form)

    def _labels(self, records: Sequence[Record]) -> Any:
        return direct.labels(records, self._config.valence_weight, self._config.energy_limit)

    def prepare(self, model: Direct, records: Sequence[Record]) -> None:
        model.set_centre(self._labels(records))

    def weights(self, progress: float) -> dict[str, float]:
        weights: dict[str, float] = self._config.direct_losses.model_dump()
        return weights

    def terms(
        self, model: Direct, graph: Graph, records: Sequence[Record], progress: float
    ) -> dict[str, Tensor]:
        labels = self._labels(records).to(graph.positions.device)
        return direct.losses(model(graph), labels)

    def evaluate(self, model: Direct, records: Sequence[Record]) -> dict[str, Any]:
        return direct.evaluate_records(model, records)

    def save(self, model: Direct, metadata: dict[str, Any], path: Path) -> None:
        state = checkpoint.Checkpoint(model.state_dict(), model.config.model_dump(), metadata)
        checkpoint.save(path, state)

    def complete(
        self, path: Path, training: Sequence[Record], validation: Sequence[Record]
    ) -> None:
        """Do nothing: a direct model gives no uncertainties."""
