"""Model files: one safetensors file, weights as tensors and everything else as JSON.

Nothing in a model file is executed when it is read. The JSON sits in the file's own metadata under
``esml`` and holds ``version`` (an integer, raised with every change of the format), ``config``
(what rebuilds the network) and ``metadata`` (the model card's fields). An older file is lifted step
by step through ``UPGRADES``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from esml.files import write_whole

VERSION = 2


class CheckpointError(ValueError):
    """A model file that cannot be used, said in one sentence."""


@dataclass
class Checkpoint:
    """What a model file holds."""

    state: dict[str, Tensor]
    config: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)

    def split_off(self, prefix: str) -> dict[str, Tensor]:
        """Take the tensors whose names begin with ``prefix`` out of ``state``, less the prefix."""
        names = [name for name in self.state if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.state.pop(name) for name in names}


def _second(old: Checkpoint) -> Checkpoint:
    """Version 2 may hold tensors of the domain and of the error model beside the weights."""
    return old


UPGRADES: dict[int, Callable[[Checkpoint], Checkpoint]] = {1: _second}
"""``UPGRADES[n]`` turns what a file of version n holds into what one of version n + 1 does."""


def save(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint``, whole or not at all.

    Raises CheckpointError when the file cannot be written.
    """
    path = Path(path)
    header = {
        "version": VERSION,
        "config": checkpoint.config,
        "metadata": checkpoint.metadata,
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.state.items()}
    content = serialize(tensors, metadata={"esml": json.dumps(header)})
    try:
        write_whole(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be written ({error}): expected a writable place with room; free "
            "space or choose another output"
        ) from error


def load(path: str | Path) -> Checkpoint:
    """Read a model file.

    Raises CheckpointError for a file that is missing, damaged, foreign, or newer than this package.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist: expected a model file (.safetensors); check the path"
        )
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get("esml")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} could not be read ({error}): expected a complete safetensors file; restore it "
            "from a copy"
        ) from error
    if text is None:
        raise CheckpointError(
            f"{path} is a safetensors file but not an esml model: expected the metadata key "
            "'esml'; give a file written by `esml train`"
        )
    try:
        header = json.loads(text)
        version = int(header["version"])
        if version > VERSION:
            raise CheckpointError(
                f"{path} has format version {version}: expected at most {VERSION}; update esml"
            )
        found = Checkpoint(state, dict(header["config"]), dict(header["metadata"]))
        for step in range(version, VERSION):
            found = UPGRADES[step](found)
        return found
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} has a damaged header ({error!r}): expected version, config and metadata; "
            "restore it from a copy"
        ) from error
