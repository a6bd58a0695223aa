"""Make structures on the way to a model's minima of S1 and T1.

    python -m scripts.data.excited_set RUN [--model camb3lyp] [--n 100] [--largest 6]
                                           [--only SMARTS] [--seed 0] [--workers 2]

Relaxed unsaturated structures of the training split of data/small, data/pool and data/chromophores
are relaxed again in S1 and T1 of a model (``esml.dynamics``), until a minimum, a crossing with the
ground state, or STEPS steps. Relaxations drift to where the model is wrong, and labels there
correct it: train, and run this again. Each path gives its end and one structure in between.
Structures go to RUN/excited.xyz, labels to RUN/excited, the smaller molecules of a random order
first. Structures at which the closed shell is not a minimum get no labels.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from rdkit import Chem

import esml
from esml.dynamics import CrossingError, relaxed_state
from esml.io.records import Record
from esml.jobs import DIED, on_processes, tracked
from esml.training.targets import structure
from reference.geometries import GeometryError
from reference.molecules import parse
from scripts.data.triplet_set import candidates, label, toward

STATES = ("S1", "T1")
STEPS = 40
"""Largest number of steps of each relaxation."""
SHARES = (0.5, 0.9)
"""Range of the position of the structure within a path, as a share of its length."""


def end_of_path(model: esml.Surrogate, atoms: Atoms, state: str) -> Atoms | None:
    """Relax ``state`` of ``atoms``; None if the model cannot treat the molecule."""
    try:
        end: Atoms = relaxed_state(model, atoms, state, steps=STEPS).excited.atoms
    except CrossingError as error:
        end = error.atoms
    except ValueError:
        return None
    return end


def along_path(model: esml.Surrogate, record: Record, seed: int) -> list[Atoms]:
    """Return two structures of ``record``'s molecule for each of STATES, fewer if bonds break."""
    rng = np.random.default_rng([seed, zlib.crc32(record.inchikey.encode())])
    found = []
    for state in STATES:
        end = end_of_path(model, structure(record), state)
        for share in (1.0, float(rng.uniform(*SHARES))):
            if end is None:
                continue
            with suppress(GeometryError):
                between = toward(record, end, share, "excited")
                between.info["state"] = state
                found.append(between)
    return found


Job = tuple[int, Record]
"""Index of a record, and the record."""


def _along(job: Job, settings: tuple[str, int]) -> list[Atoms]:
    name, seed = settings
    torch.set_num_threads(1)
    return along_path(esml.load_model(name), job[1], seed)


def _died(job: Job) -> list[Atoms]:
    print(f"{job[1].name}: {DIED}", flush=True)
    return []


def structures(records: Sequence[Record], name: str, seed: int, workers: int) -> Iterator[Atoms]:
    """Yield the structures of all ``records``, in their order."""
    outcomes = on_processes(_along, list(enumerate(records)), (name, seed), workers, _died)
    done = tracked(outcomes, "molecules", len(records))
    found = {place: images for (place, _), images in done}
    for place in sorted(found):
        yield from found[place]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="RUN")
    parser.add_argument("--model", default="camb3lyp")
    parser.add_argument("--n", type=int, default=100, help="number of molecules")
    parser.add_argument("--largest", type=int, default=6, help="most heavy atoms")
    parser.add_argument("--only", default="*", help="SMARTS that molecules must match")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pattern = Chem.MolFromSmarts(arguments.only)
    chosen = [
        r
        for r in candidates(arguments.seed, arguments.largest)
        if parse(r.smiles).HasSubstructMatch(pattern)
    ][: arguments.n]
    images = structures(chosen, arguments.model, arguments.seed, arguments.workers)
    label(arguments.directory / "excited.xyz", images, arguments.workers)


if __name__ == "__main__":
    main()
