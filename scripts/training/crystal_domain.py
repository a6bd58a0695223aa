"""Write into the file of a model of crystals which structures it knows, so that it warns of others.

    python -m scripts.training.crystal_domain MODEL.safetensors DATA... [-o OUT.safetensors]

`esml train` ends with the same step; this is for files that were written before it, or before
``esml.confidence.crystals`` learned to tell more. The structures are the training split of DATA,
which must be the data that the model was trained on. Weights and all else in the file stay as they
are. Prints how many crystals of each split would get a warning about their structure.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from esml.confidence.crystals import CrystalDomain
from esml.io.records import CrystalRecord, read
from esml.model import checkpoint
from esml.training.crystals.scores import structure


def with_domain(
    content: checkpoint.Checkpoint, training: Sequence[CrystalRecord]
) -> checkpoint.Checkpoint:
    """Return ``content`` with the domain of ``training``.

    Raises ValueError for a model of molecules, or one trained on another number of crystals.
    """
    if content.config.get("kind") != checkpoint.CRYSTALS:
        raise ValueError(
            "the file holds a model of molecules where one of crystals is expected: use "
            "scripts.training.calibrate_uncertainty"
        )
    trained_on = content.metadata.get("n_structures")
    if trained_on != len(training):
        raise ValueError(
            f"the data have {len(training)} training crystals where the model was trained on "
            f"{trained_on}: give the data that it was trained on"
        )
    domain = CrystalDomain.of(structure(record) for record in training)
    metadata = content.metadata | {"domain": domain.plain()}
    return checkpoint.Checkpoint(content.state, content.config, metadata)


def warned(domain: CrystalDomain, records: Sequence[CrystalRecord]) -> list[str]:
    """Return a line for each split: how many of its crystals are unlike the training crystals."""
    lines = []
    for split in dict.fromkeys(record.split for record in records):
        own = [record for record in records if record.split == split]
        unlike = [record for record in own if domain.reasons(structure(record))]
        lines.append(f"{split}: {len(unlike)} of {len(own)} crystals would be warned of")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, help="write here, not back to MODEL")
    arguments = parser.parse_args()
    records = read(arguments.data, kind=CrystalRecord)
    training = [record for record in records if record.split == "train"]
    try:
        content = with_domain(checkpoint.load(arguments.model), training)
    except ValueError as error:
        parser.error(str(error))
    checkpoint.save(arguments.output or arguments.model, content)
    print("\n".join(warned(CrystalDomain.from_plain(content.metadata["domain"]), records)))


if __name__ == "__main__":
    main()
