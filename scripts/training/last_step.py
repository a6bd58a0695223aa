"""Fit the last step, from a vertical energy to a measured band maximum, into a model file.

    python -m scripts.training.last_step TABLE.csv.gz --model IN.safetensors -o OUT.safetensors
        [--store FILE.jsonl] [--n 600] [--heavy 30] [--solvents 2] [--seed 0]

Accepts the options of ``scripts.accuracy.measured_maxima``, whose tables it prints first. Its
numbers and their uncertainty are written into the metadata of the model; nothing else changes. The
table is not part of the project.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from esml.predict.model_files import load_model, save_model
from scripts.accuracy.last_step import last_step
from scripts.accuracy.measured_maxima import add_arguments, compared_as_asked, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    model = load_model(given.model)
    compared = compared_as_asked(given, model)
    print(report(compared))
    model.metadata["last_step"] = last_step(compared).plain()
    save_model(model, given.output)
    print(f"\nwritten: {given.output}")


if __name__ == "__main__":
    main()
