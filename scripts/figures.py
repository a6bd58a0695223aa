"""Compute again what the documentation says of the shipped models of molecules.

    python -m scripts.figures RUN [--only NAME ...] [--processes 2] [--table TABLE.csv.gz]

After new weights. The output of each command goes to RUN/NAME.txt, of those that fail to
RUN/NAME.failed.txt, pictures beside them; what is there already is not computed again. Prints which
page each belongs to. TABLE holds measured maxima (``scripts.accuracy.measured_maxima``); without it
the commands that need one are left out. Everything takes some two hours of a core.

Not among these, as they need labels or programs of their own: ``scripts.accuracy.how_far``,
``circular_dichroism``, ``two_photon``, ``surface_hopping``, speed, and what the inductive biases
give.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from esml.jobs import one_thread_each
from scripts import ROOT


@dataclass(frozen=True)
class Figures:
    """A command whose output is on a page of the documentation."""

    page: str
    module: str
    arguments: str = ""  # {table} and {run} stand for paths

    def words(self, run: Path, table: Path | None) -> list[str]:
        """Return the command line."""
        filled = [word.format(run=run, table=table) for word in self.arguments.split()]
        return [sys.executable, "-m", self.module, *filled]


LABELS = "data/small data/pool data/chromophores"

FIGURES = {
    "classes": Figures(
        "model",
        "scripts.accuracy.classes",
        f"camb3lyp {LABELS} data/coverage data/groups data/further data/larger",
    ),
    "dyes": Figures("model", "scripts.accuracy.dyes"),
    "benchmark": Figures(
        "model",
        "scripts.accuracy.benchmark",
        f"camb3lyp --data {LABELS} --extrapolation data/extrapolation"
        " --cache {run}/programs.jsonl --plots {run}/model",
    ),
    "where_it_fails": Figures("model", "scripts.accuracy.where_it_fails"),
    "coverage": Figures("model", "scripts.accuracy.coverage"),
    "domain_limits": Figures("model", "scripts.accuracy.domain_limits"),
    "valence_states": Figures("model", "scripts.accuracy.valence_states"),
    "solvents": Figures("solvents", "scripts.accuracy.solvents", "data/solvents/shifts.json"),
    "charges": Figures("solvents", "scripts.accuracy.point_charges", "data/solvents/charges.json"),
    "solvatochromism": Figures("solvents", "scripts.accuracy.solvatochromism", "--markdown"),
    "measured_maxima": Figures(
        "solvents",
        "scripts.accuracy.measured_maxima",
        "{table} --picture {run}/measured_maxima.png",
    ),
    "measured_dichroism": Figures("light", "scripts.accuracy.measured_dichroism"),
    "vibronic": Figures("light", "scripts.accuracy.vibronic", "--picture {run}/vibronic.png"),
    "forbidden": Figures(
        "light", "scripts.accuracy.vibronic", "--forbidden --picture {run}/herzberg_teller.png"
    ),
    "emission": Figures(
        "light", "scripts.accuracy.emission", "{table} --store {run}/emission.jsonl"
    ),
    "smiles_geometry": Figures("structures", "scripts.accuracy.smiles_geometry", "--most 16"),
    "soundness": Figures("robustness", "scripts.robustness.soundness"),
}


def compute(name: str, figures: Figures, run: Path, table: Path | None) -> str:
    """Run one command, if its output is not there; return a line about it."""
    found = run / f"{name}.txt"
    if found.is_file():
        return f"{name}: there already"
    done = subprocess.run(
        figures.words(run, table),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        failed = run / f"{name}.failed.txt"
        failed.write_text(done.stdout + done.stderr, encoding="utf-8")
        return f"{name}: failed, see {failed}"
    found.write_text(done.stdout, encoding="utf-8")
    return f"{name}: {found}, for docs/{figures.page}.md"


def wanted(only: Sequence[str] | None, table: Path | None) -> list[str]:
    """Return the names to compute: those asked for, or all, without those that lack a table."""
    return [
        name
        for name in only or FIGURES
        if table is not None or "{table}" not in FIGURES[name].arguments
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--only", nargs="+", choices=FIGURES, metavar="NAME")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--table", type=Path, help="measured maxima")
    given = parser.parse_args()
    run = given.run.absolute()
    run.mkdir(parents=True, exist_ok=True)
    names = wanted(given.only, given.table)
    table = given.table and given.table.absolute()
    with one_thread_each(), ThreadPoolExecutor(given.processes) as pool:
        for line in pool.map(lambda name: compute(name, FIGURES[name], run, table), names):
            print(line, flush=True)


if __name__ == "__main__":
    main()
