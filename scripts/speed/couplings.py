"""Cost of energies, gradients and couplings beside a prediction and one gradient.

    python -m scripts.speed.couplings [FILE ...] [--n-states 10] [--times 8]

FILE is a structure, examples/azobenzene.xyz (24 atoms) if left out. Times are the shortest
processor times of one thread, measured in turns in one process, so that other work on the machine
affects all rows alike. Ratios are to one gradient, the derivative of one energy by plain autograd.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read

import esml
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate
from scripts import ROOT
from scripts.measuring import side_by_side

AZOBENZENE = ROOT / "examples" / "azobenzene.xyz"


def hop(model: Surrogate, atoms: Atoms, n_states: int, active: int | None) -> None:
    """Compute energies, gradients and couplings of the active state or of all, and all τ along v.

    With an active state that is what a step of a trajectory needs.
    """
    velocities = np.random.default_rng(0).normal(0.0, 0.01, atoms.positions.shape)
    esml.state_couplings(model, atoms, n_states, active=active).time_derivatives(velocities)


def table(path: Path, n_states: int, times: int) -> str:
    """Make Markdown rows for the structure in ``path``."""
    model, atoms = esml.load_model(), read(path)
    assert isinstance(atoms, Atoms)
    found = side_by_side(
        {
            f"{n_states} states": lambda: model.predict(atoms, n_states, n_triplets=1),
            "one gradient": lambda: excitation_gradients(model, atoms),
            "gradient and couplings of one": lambda: esml.state_couplings(
                model, atoms, n_states, active=0
            ),
            "the same and time derivatives of all": lambda: hop(model, atoms, n_states, 0),
            "gradients, couplings and time derivatives of all": lambda: hop(
                model, atoms, n_states, None
            ),
        },
        times,
    )
    lines = [f"| {path.stem}, {len(atoms)} atoms | time (s) | ratio |", "|---|---:|---:|"]
    lines += [
        f"| {name} | {time:.3f} | {time / found['one gradient']:.1f} |"
        for name, time in found.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", default=[AZOBENZENE])
    parser.add_argument("--n-states", type=int, default=10)
    parser.add_argument("--times", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for path in given.files:
        print(table(path, given.n_states, given.times))


if __name__ == "__main__":
    main()
