"""Methods that compute excited states, as functions of one form.

A method is a function structures → outcomes: for each structure a ``Prediction``, or a ``Failure``
with the reason. ``of_model``, ``of_direct`` and ``of_peer`` make methods; the tables of
scripts.accuracy.benchmark accept any function of that form.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from esml.io.files import write_whole
from esml.jobs import tracked
from esml.model import checkpoint
from esml.model.direct import Direct, DirectConfig
from esml.model.graph import build_graph
from esml.predict.surrogate import Surrogate
from esml.results import Failure
from scripts.accuracy.peers import PeerError, PeerMissingError, PeerStates

OWN = "esml"
"""Name of the model in tables."""

N_STATES = 24
"""Number of states of each multiplicity to compute."""

SAVE_EVERY = 30.0
"""Time between two writings of the cache, s."""


@dataclass(frozen=True)
class Prediction:
    """Excited states of one molecule, ascending."""

    singlets: np.ndarray  # (S,) eV
    strengths: np.ndarray  # (S,)
    triplets: np.ndarray  # (T,) eV
    seconds: float = float("nan")  # wall time, where measured
    gap: float = float("nan")  # HOMO–LUMO gap, eV, where the method has one


Outcome = Prediction | Failure
Method = Callable[[Sequence[Atoms]], list[Outcome]]


def of_model(model: Surrogate) -> Method:
    """Make a method of ``model``."""

    def predict(structures: Sequence[Atoms]) -> list[Outcome]:
        began = time.perf_counter()
        results = list(model.predict_many(structures, n_states=N_STATES, errors="return"))
        seconds = (time.perf_counter() - began) / max(len(structures), 1)
        return [
            result
            if isinstance(result, Failure)
            else Prediction(
                result.singlets.energies,
                result.singlets.oscillator_strengths,
                result.triplets.energies,
                seconds,
                result.gap,
            )
            for result in results
        ]

    return predict


def of_direct(path: Path) -> Method:
    """Make a method of the direct model in the file ``path``: five singlets and one triplet.

    Raises CheckpointError for a file that is not a model, ValueError for another kind of model.
    """
    found = checkpoint.load(path)
    model = Direct(DirectConfig.model_validate(found.config))
    model.load_state_dict(found.state)
    model.eval()

    def predict(structures: Sequence[Atoms]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for atoms in structures:
            began = time.perf_counter()
            with torch.no_grad():
                q = model(build_graph([atoms], model.cutoff))
            singlets, strengths = (x[0].double().numpy() for x in (q.singlets, q.strengths))
            seconds = time.perf_counter() - began
            triplets = q.triplet.double().numpy()
            outcomes.append(Prediction(singlets, strengths, triplets, seconds, float(q.gap[0])))
        return outcomes

    return predict


class Cache:
    """Results by key in one JSON file; only in memory if ``path`` is None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._entries: dict[str, Any] = {}
        self._saved = time.monotonic()
        if path is not None and path.exists():
            self._entries = json.loads(path.read_text(encoding="utf-8"))

    def get(self, key: str) -> Any:
        return self._entries.get(key)

    def put(self, key: str, entry: Any) -> None:
        self._entries[key] = entry
        if time.monotonic() - self._saved > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        self._saved = time.monotonic()
        if self._path is not None:
            write_whole(self._path, json.dumps(self._entries).encode())


def structure_key(atoms: Atoms) -> str:
    """Hash of elements, positions (to 1e-6 Å) and charge."""
    digest = hashlib.sha256(np.asarray(atoms.numbers, dtype="<i4").tobytes())
    digest.update(np.round(atoms.positions * 1e6).astype("<i8").tobytes())
    digest.update(str(int(atoms.info.get("charge", 0))).encode())
    return digest.hexdigest()[:20]


def of_peer(name: str, run: Callable[[Atoms, int], PeerStates], cache: Cache) -> Method:
    """Make a method of another program; its results or failures are kept in ``cache``.

    The method raises PeerMissingError when first used if the program is not installed.
    """

    def entry(atoms: Atoms) -> dict[str, Any]:
        try:
            states = asdict(run(atoms, N_STATES))
        except PeerMissingError:
            raise
        except PeerError as error:
            return {"failure": str(error)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in states.items()}

    def predict(structures: Sequence[Atoms]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            for atoms in tracked(structures, name):
                key = f"{name}|{N_STATES}|{structure_key(atoms)}"
                found = cache.get(key)
                if found is None:
                    found = entry(atoms)
                    cache.put(key, found)
                if "failure" in found:
                    outcomes.append(Failure.of(atoms, found["failure"]))
                else:
                    singlets, strengths, triplets = (
                        np.array(found[k]) for k in ("singlets", "strengths", "triplets")
                    )
                    outcomes.append(Prediction(singlets, strengths, triplets, found["seconds"]))
        finally:
            cache.save()
        return outcomes

    return predict
