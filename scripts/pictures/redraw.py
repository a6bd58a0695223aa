"""Update all pictures, outputs and notebooks of the documentation.

    python -m scripts.pictures.redraw [--only NAME ...]

This takes half an hour on one core. Run it when the default model or visible output has changed,
then inspect ``git diff``. Figures that need a benchmark are not included; docs/model.md names their
commands. Failures are listed at the end, and the rest is updated nevertheless.
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
"""Commands by name; the last one takes longest."""


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
