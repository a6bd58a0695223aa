"""Predict the files named on standard input and print the times; started by ``against``.

    python scripts/speed/predictions.py '{"files": {…}, "model": "…", "n_states": 10}'

It imports only modules that every version of esml has. It first prints which package it runs.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from ase import Atoms
from ase.io import iread

import esml


def answer() -> None:
    """Predict the file that each line names, until there are no more lines."""
    told = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    model = esml.load_model(told["model"] or None)
    molecules: dict[str, list[Atoms]] = {
        name: list(iread(file, ":")) for name, file in told["files"].items()
    }
    print(esml.__file__, flush=True)
    for line in sys.stdin:
        atoms = molecules[line.strip()]
        begin = time.process_time()
        if len(atoms) == 1:
            model.predict(atoms[0], told["n_states"])
        else:
            list(model.predict_many(atoms, told["n_states"], "return"))
        print(time.process_time() - begin, flush=True)


if __name__ == "__main__":
    answer()
