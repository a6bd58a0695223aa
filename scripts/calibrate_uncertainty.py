"""Add to a model file what the model knows of its own limits: domain and error model.

    python scripts/calibrate_uncertainty.py MODEL.safetensors DATA... [-o OUT.safetensors]

`esml train` does the same when it is done. The domain is taken from the training split of DATA,
which should be what the model was trained on, the error model fitted to the validation split; the
test split is not touched. A minute or two for a thousand structures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from esml.dataset import read
from esml.training import calibrate_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, help="write here, not back to MODEL")
    args = parser.parse_args()
    records = read(args.data)
    split = {name: [r for r in records if r.split == name] for name in ("train", "validation")}
    if not split["train"] or not split["validation"]:
        parser.error("the data hold no training or no validation records: expected some of both")
    model = calibrate_file(args.model, split["train"], split["validation"], args.output)
    print(model.metadata.get("uncertainty", "too few validation molecules for an error model"))


if __name__ == "__main__":
    main()
