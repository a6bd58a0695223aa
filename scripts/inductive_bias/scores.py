"""Score the models of the study by the same quantities for every kind of model.

A model with either head becomes a ``Predictor``, structures → ``Answer``s. The scores are

- ``s1``, ``t1``: the lowest singlet and triplet, where the label's lowest is a valence state (eV);
- ``bright``, ``bright_f``: energy (eV) and strength of the strongest of the lowest K singlets,
  where K ≤ 5 is the number of the label's valence singlets below 8 eV and the strongest has f >
  0.1;
- ``occupied``, ``gap``: all occupied orbital energies and the HOMO–LUMO gap (eV).

All are mean absolute errors. ``s1_spread`` and so on are symmetry errors: the root mean square
deviation, over orientations of a structure, from their mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from esml.io.records import Record
from esml.model import checkpoint
from esml.model.backbones import build
from esml.model.backbones.transformer import random_rotations
from esml.model.direct import N_SINGLETS, Direct, DirectConfig
from esml.model.graph import build_graph
from esml.physics.basis import ELEMENTS
from esml.physics.solvers.davidson import ConvergenceError
from esml.predict.model_files import load_model
from esml.predict.surrogate import Surrogate
from esml.training.scores import BRIGHT, HIGHEST, LEAST_WEIGHT, Scores
from esml.training.targets import structure, valence_states

BATCH = 16


@dataclass(frozen=True)
class Answer:
    """Predictions of a model for one molecule that the study scores."""

    singlets: np.ndarray  # (≤ 5,) eV, ascending
    strengths: np.ndarray  # (≤ 5,)
    triplet: float  # eV
    occupied: np.ndarray  # (o,) eV, ascending
    gap: float  # eV


Predictor = Callable[[Sequence[Atoms]], list[Answer | None]]
"""Function that predicts; None if the ground state is unstable or no states are found."""


def predictor(path: Path, **backbone: Any) -> Predictor:
    """Load the model in the file ``path``; ``backbone`` replaces settings of its backbone.

    Raises CheckpointError for a file that is not a model.
    """
    if checkpoint.load(path).config.get("kind") == "direct":
        direct = _load_direct(path)
        _set(direct, backbone)
        return lambda structures: _of_direct(direct, structures)
    surrogate = load_model(path)
    _set(surrogate.hamiltonian, backbone)
    return lambda structures: _of_hamiltonian(surrogate, structures)


def _load_direct(path: Path) -> Direct:
    found = checkpoint.load(path)
    model = Direct(DirectConfig.model_validate(found.config))
    model.load_state_dict(found.state)
    return model.eval()


def _set(model: Any, settings: dict[str, Any]) -> None:
    """Rebuild the backbone of ``model`` with other ``settings`` and the same weights."""
    if settings:
        form = type(model.network.config).model_validate(
            model.network.config.model_dump() | settings
        )
        network = build(form)
        network.load_state_dict(model.network.state_dict())
        model.network = network.eval()


def _of_direct(model: Direct, structures: Sequence[Atoms]) -> list[Answer | None]:
    with torch.no_grad():
        found = model(build_graph(structures, model.cutoff))
    singlets, strengths, triplet, gap = (
        x.double().numpy() for x in (found.singlets, found.strengths, found.triplet, found.gap)
    )
    if found.occupied is None:
        raise ValueError("a direct model of the study must have levels: occupied")
    occupied = [row[np.isfinite(row)] for row in found.occupied.double().numpy()]
    return [
        Answer(singlets[m], strengths[m], float(triplet[m]), occupied[m], float(gap[m]))
        for m in range(len(structures))
    ]


def _of_hamiltonian(model: Surrogate, structures: Sequence[Atoms]) -> list[Answer | None]:
    try:
        with torch.no_grad():
            found = model(model.graph(structures, ELEMENTS), N_SINGLETS, n_triplets=1)
    except (ConvergenceError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        if len(structures) == 1:
            return [None]
        return [answer for atoms in structures for answer in _of_hamiltonian(model, [atoms])]
    layout = found.operators.layout
    answers: list[Answer | None] = []
    for m in range(len(structures)):
        if not bool(found.singlets.given[m] & found.triplets.given[m]):
            answers.append(None)
            continue
        o = int(layout.n_occupied[m])
        levels = found.orbitals.energies[m].numpy()
        mask = found.singlets.mask[m].numpy()
        answers.append(
            Answer(
                found.singlets.energies[m].numpy()[mask],
                found.singlets.oscillator_strengths[m].numpy()[mask],
                float(found.triplets.energies[m, 0]),
                levels[:o],
                float(levels[o] - levels[o - 1]),
            )
        )
    return answers


def ask(predict: Predictor, structures: Sequence[Atoms]) -> tuple[list[Answer | None], float]:
    """Return answers in order, and their mean processor time (s)."""
    order = sorted(range(len(structures)), key=lambda i: len(structures[i]))
    answers: list[Answer | None] = [None] * len(structures)
    began = time.process_time()
    for begin in range(0, len(order), BATCH):
        batch = order[begin : begin + BATCH]
        for i, answer in zip(batch, predict([structures[i] for i in batch]), strict=True):
            answers[i] = answer
    return answers, (time.process_time() - began) / max(len(structures), 1)


def truth(record: Record) -> tuple[Answer, bool, bool]:
    """Return the label as an answer of valence singlets, and whether S1 and T1 are valence."""
    held = {
        multiplicity: valence_states(
            getattr(record, f"{multiplicity}_energies"),
            getattr(record, f"{multiplicity}_valence_weights"),
            LEAST_WEIGHT,
            HIGHEST,
        ).astype(bool)
        for multiplicity in ("singlet", "triplet")
    }
    first = np.flatnonzero(held["singlet"])[:N_SINGLETS]
    o = int(record.n_occupied)
    answer = Answer(
        record.singlet_energies[first],
        record.singlet_strengths[first],
        float(record.triplet_energies[0]),
        record.energies[:o],
        float(record.energies[o] - record.energies[o - 1]),
    )
    return answer, bool(held["singlet"][:1].any()), bool(held["triplet"][:1].any())


def brightest(answer: Answer, among: int) -> tuple[float, float]:
    """Return energy (eV) and strength of the strongest of the lowest ``among`` singlets."""
    place = int(answer.strengths[:among].argmax())
    return float(answer.singlets[place]), float(answer.strengths[place])


def score(records: Sequence[Record], answers: Sequence[Answer | None]) -> Scores:
    """Score ``answers`` against the labels of ``records``; refusals only count as ``refused``."""
    scores = Scores()
    for record, answer in zip(records, answers, strict=True):
        scores.add("refused", float(answer is None))
        if answer is None:
            continue
        label, has_s1, has_t1 = truth(record)
        if has_s1:
            scores.add("s1", answer.singlets[0] - label.singlets[0])
        if has_t1:
            scores.add("t1", answer.triplet - label.triplet)
        among = len(label.singlets)
        if among and label.strengths.max() > BRIGHT:
            found, expected = brightest(answer, among), brightest(label, among)
            scores.add("bright", found[0] - expected[0])
            scores.add("bright_f", found[1] - expected[1])
        scores.add("occupied", answer.occupied - label.occupied)
        scores.add("gap", answer.gap - label.gap)
    return scores


def turned(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """Return each of ``records`` in ``count`` random orientations, including mirror images.

    Only labels that do not depend on the orientation are right.
    """
    generator = torch.Generator().manual_seed(seed)
    return [
        replace(record, positions=record.positions @ rotation.T)
        for record in records
        for rotation in random_rotations(count, generator).double().numpy()
    ]


def spread(answers: Sequence[Answer | None], count: int) -> Scores:
    """Return deviations from the mean over the ``count`` orientations of each structure."""
    scores = Scores()
    for begin in range(0, len(answers), count):
        group = [a for a in answers[begin : begin + count] if a is not None]
        if len(group) < 2:
            continue
        for name, values in (
            ("s1_spread", np.array([a.singlets[0] for a in group])),
            ("t1_spread", np.array([a.triplet for a in group])),
            ("bright_f_spread", np.array([a.strengths.max() for a in group])),
            ("occupied_spread", np.array([a.occupied for a in group])),
            ("gap_spread", np.array([a.gap for a in group])),
        ):
            # Of n deviations from their own mean, n − 1 are independent.
            unbiased = (len(group) / (len(group) - 1)) ** 0.5
            scores.add(name, unbiased * (values - values.mean(0)))
    return scores


def structures_of(records: Sequence[Record]) -> list[Atoms]:
    return [structure(record) for record in records]
