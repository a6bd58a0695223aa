"""Known dyes one by one: S1 with strength and character, from esml and from the labels.

    python -m scripts.accuracy.dyes [MODEL] [--data data/dyes]

Prints Markdown. No model is trained on any of these molecules, nor on one as large.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import esml
from esml.analysis.characters import characterize
from esml.io.records import Record, read
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.training.targets import structure
from scripts.accuracy.character_agreement import leading, reference
from scripts.pages import table

HEAD = ("dye", "charge", "S1, labels", "esml", "f, labels", "esml", "what, labels", "esml", "±")


def row(model: Surrogate, record: Record) -> Sequence[str]:
    """Return the cells of one dye: S1 in eV, and a remark if it is out of the model's domain."""
    name = (record.name, f"{int(record.charge):+d}" if record.charge else "0")
    energy, strength = float(record.singlet_energies[0]), float(record.singlet_strengths[0])
    character = leading(characterize(reference(record, "singlet"))[0])
    (found,) = model.predict_many([structure(record)], 3, errors="return", wavefunctions=True)
    if not isinstance(found, Result):
        return (*name, f"{energy:.2f}", "refused", f"{strength:.2f}", "", character, "", "")
    states = found.singlets
    assert states.uncertainties is not None
    stated = f"{states.uncertainties[0]:.2f}"
    return (
        *name,
        f"{energy:.2f}",
        f"{states.energies[0]:.2f}",
        f"{strength:.2f}",
        f"{states.oscillator_strengths[0]:.2f}",
        character,
        leading(found.characters()[0]),
        stated if found.in_domain else f"{stated}, out of domain",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="camb3lyp")
    parser.add_argument("--data", type=Path, default=Path("data/dyes"))
    arguments = parser.parse_args()
    records = sorted(read(arguments.data), key=lambda r: int((r.numbers > 1).sum()))
    model = esml.load_model(arguments.model)
    print(table(HEAD, [row(model, record) for record in records]))


if __name__ == "__main__":
    main()
