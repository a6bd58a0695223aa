"""Draws all pictures, outputs and notebooks of the documentation anew.

    python -m scripts.pictures.redraw [--only NAME ...]

Half an hour of one core; run it when the default model or what people see has changed, then look at
what ``git diff`` shows. Not among them are figures that take a benchmark: docs/model.md names the
commands. What fails is told at the end, and the rest is drawn nevertheless.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys

from scripts import ROOT

STEPS = {
    "data": "scripts.data.card",
    "speed": "scripts.speed.how_fast plot --json docs/speed.json --picture docs/figures/speed.png",
    "study": "scripts.inductive_bias.study figures",
    "screenshots": "scripts.pictures.screenshots docs/figures",
    "notebooks": "scripts.pictures.notebooks docs/notebooks",
    "tutorials": "scripts.pictures.tutorials",
}
"""Commands by name; the last takes longest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS))
    failed = []
    for name in parser.parse_args().only:
        print(f"== {name}: python -m {STEPS[name]}", flush=True)
        command = [sys.executable, "-m", *shlex.split(STEPS[name])]
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
