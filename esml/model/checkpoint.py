"""Model files: one safetensors file, weights as tensors and everything else as JSON.

Nothing in a model file is executed when it is read. The JSON is stored in the file's own metadata
under ``esml``. It holds ``version`` (an integer, raised with every change of the format),
``config`` (the configuration that rebuilds the network), ``metadata`` (the fields of the model
card) and ``sha256``, a checksum of all these and the tensors. Older files are converted step by
step by the upgrades of ``FORMAT``; version 1 had no checksum.

``pack``, ``unpack`` and ``verify`` also serve for other files of tensors and JSON.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from esml.io.files import write_whole
from esml.model.elements import element_dimensions

LARGEST = 2**31
"""Size of the largest file that is read, bytes."""

CRYSTALS = "crystals"
"""Value of ``kind`` in the configuration of a model of crystals."""


class CheckpointError(ValueError):
    """A model file cannot be used; the message says why in one sentence."""


@dataclass
class Checkpoint:
    """The content of a model file."""

    state: dict[str, Tensor]
    config: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)

    def split_off(self, prefix: str) -> dict[str, Tensor]:
        """Move tensors whose names begin with ``prefix`` out of ``state``; drop the prefix."""
        names = [name for name in self.state if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.state.pop(name) for name in names}

    def fingerprint(self) -> str:
        """Return the SHA-256 of the content, the same for the same model in any file."""
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.state.items()}
        return _digest(tensors, {"config": self.config, "metadata": self.metadata})


def _add_relaxation(old: Checkpoint) -> Checkpoint:
    """Upgrade to version 2: blocks for the relaxation of virtual orbitals, like the Hamiltonian's.

    Since then, the mean field has its own option, and files have a checksum and may hold a domain
    and an error model besides the weights.
    """
    blocks = {
        name.replace("site.", "site_relaxation."): torch.zeros_like(tensor)
        for name, tensor in old.state.items()
        if name.startswith(("blocks.onsite.", "blocks.offsite."))
    }
    config = {k: v for k, v in old.config.items() if not k.startswith("far_exchange")}
    if "far_exchange" in old.config:
        config["mean_field"] = "far" if old.config["far_exchange"] else "none"
    return replace(old, state=old.state | blocks, config=config)


def _add_near_charges(old: Checkpoint) -> Checkpoint:
    """Upgrade to version 3: the mean field has the potential of near charges and is iterated."""
    state, config = dict(old.state), dict(old.config)
    name = "near_exchange"
    if config.get("kind", "hamiltonian") == "hamiltonian":
        config["mean_field_steps"] = 1
        if name in state:
            state["near_coulomb"] = torch.zeros_like(state[name])
    return replace(old, state=state, config=config)


def _forget_errors(old: Checkpoint) -> Checkpoint:
    """Upgrade to version 4: drop the error model, because its descriptors have changed."""
    state = {name: t for name, t in old.state.items() if not name.startswith("uncertainty.")}
    metadata = {key: value for key, value in old.metadata.items() if key != "uncertainty"}
    return replace(old, state=state, metadata=metadata)


_BY_DESCRIPTOR = {
    "uncertainty.centre": (8, 0.0),
    "uncertainty.spread": (8, 1.0),
    "uncertainty.coefficients": (9, 0.0),
}
"""Tensors of the error model: where shares by element begin, and the value of a new share."""

_ADDED = 6
"""Number of elements that version 5 added, after the others."""

_FIRST_ELEMENTS = [1, 6, 7, 8, 9, 16, 17]


def _add_elements(old: Checkpoint) -> Checkpoint:
    """Upgrade to version 5: weights have rows for B, Si, P, Se, Br and I.

    An older model does not know these elements: their rows are zero, and the metadata list the
    elements that it knows.
    """
    state = {name: _with_elements(name, tensor) for name, tensor in old.state.items()}
    metadata = {"elements": _FIRST_ELEMENTS} | old.metadata
    return replace(old, state=state, metadata=metadata)


def _with_elements(name: str, tensor: Tensor) -> Tensor:
    if n_dimensions := element_dimensions(name):
        after = [0, 0] * (tensor.dim() - n_dimensions)
        return nn.functional.pad(tensor, after + [0, _ADDED] * n_dimensions)
    if name == "domain.linkages":
        # Each element has five classes, by number of neighbours; elements follow one another.
        return nn.functional.pad(tensor, [0, 5 * _ADDED] * tensor.dim())
    if name in _BY_DESCRIPTOR:
        # After the first entries come the shares of six elements in hole and in electron.
        first, value = _BY_DESCRIPTOR[name]
        general, holes, electrons, rest = tensor.tensor_split([first, first + 6, first + 12])
        new = tensor.new_full((_ADDED,), value)
        return torch.cat([general, holes, new, electrons, new, rest])
    return tensor


def _keep_floor(old: Checkpoint) -> Checkpoint:
    """Upgrade to version 6: small vectors are not amplified, and net charges act in full.

    An older model keeps the behaviour that it was trained with.
    """
    config = dict(old.config)
    network = dict(config.get("network", {}))
    if network.get("kind", "equivariant") == "equivariant":
        config["network"] = network | {"floor": 0.01}
    if config.get("kind", "hamiltonian") == "hamiltonian":
        config["net_charge"] = False
    return replace(old, config=config)


def _add_triplet_shift(old: Checkpoint) -> Checkpoint:
    """Upgrade to version 7: hole and electron attract less in triplets; older models get zero."""
    state = dict(old.state)
    if old.config.get("kind", "hamiltonian") == "hamiltonian":
        state["triplet_shift"] = torch.zeros_like(state["virtual_scale"])
    return replace(old, state=state)


@dataclass(frozen=True)
class Format:
    """The version of model files that is written, and the upgrades of older versions."""

    version: int
    upgrades: Mapping[int, Callable[[Checkpoint], Checkpoint]]
    """``upgrades[n]`` converts the content of a file of version n to version n + 1."""


FORMAT = Format(
    7,
    {
        1: _add_relaxation,
        2: _add_near_charges,
        3: _forget_errors,
        4: _add_elements,
        5: _keep_floor,
        6: _add_triplet_shift,
    },
)


def _digest(tensors: dict[str, Tensor], header: dict[str, Any]) -> str:
    """Return the SHA-256 of ``header`` and of name, type, shape and bytes of every tensor.

    It depends on the content, not on the bytes of a file: another order or layout of the same
    content gives the same checksum.
    """
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def pack(tensors: dict[str, Tensor], key: str, header: dict[str, Any]) -> bytes:
    """Return a safetensors file of ``tensors``, with ``header`` and a checksum under ``key``."""
    stored = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    # Convert the header to what will be read back: JSON has neither tuples nor integer keys.
    header = json.loads(json.dumps(header))
    sealed = {"sha256": _digest(stored, header), **header}
    # Use a single entry: safetensors would write several in random order.
    return serialize(stored, metadata={key: json.dumps(sealed)})


def unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and metadata of a safetensors file.

    Raises CheckpointError if the file is incomplete, or larger than ``LARGEST``.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise CheckpointError(
                f"{path} has {size} bytes: expected a model file of at most {LARGEST}; check the "
                "path"
            )
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} could not be read ({error}): expected a complete safetensors file; restore it "
            "from a copy"
        ) from error


def verify(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Raise CheckpointError if the ``sha256`` in ``header`` does not match the content."""
    stored = header.get("sha256")
    if stored != _digest(tensors, {k: v for k, v in header.items() if k != "sha256"}):
        raise CheckpointError(
            f"{path} is damaged: expected weights and configuration of the SHA-256 checksum "
            f"{str(stored)[:12]}…; restore it from a copy"
        )


@contextmanager
def no_larger_than(state: dict[str, Tensor]) -> Iterator[None]:
    """Raise ValueError if modules built inside have more parameters than ``state`` holds.

    A configuration of a few words could otherwise ask for any amount of memory.
    """
    thread = threading.get_ident()
    left = sum(tensor.numel() for tensor in state.values())

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        if parameter is not None and threading.get_ident() == thread:
            left -= parameter.numel()
            if left < 0:
                raise ValueError("the configuration asks for more weights than the file holds")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def save(path: str | Path, checkpoint: Checkpoint, form: Format = FORMAT) -> None:
    """Write ``checkpoint`` in the format ``form``, completely or not at all.

    Raises CheckpointError if the file cannot be written.
    """
    path = Path(path)
    header = {
        "version": form.version,
        "config": checkpoint.config,
        "metadata": checkpoint.metadata,
    }
    content = pack(checkpoint.state, "esml", header)
    try:
        write_whole(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be written ({error}): expected a writable place with room; free "
            "space or choose another output"
        ) from error


def load(path: str | Path, form: Format = FORMAT) -> Checkpoint:
    """Read a model file of the format ``form`` or an older one.

    Raises CheckpointError if the file is missing, damaged, not a model file, or newer than this
    package.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist: expected a model file (.safetensors); check the path"
        )
    state, entries = unpack(path)
    text = entries.get("esml")
    if text is None:
        raise CheckpointError(
            f"{path} is a safetensors file but not an esml model: expected the metadata key "
            "'esml'; give a file written by `esml train`"
        )
    try:
        header = json.loads(text)
        version = int(header["version"])
        if version > form.version:
            raise CheckpointError(
                f"{path} has format version {version}: expected at most {form.version}; update esml"
            )
        if version > 1 or "sha256" in header:
            verify(path, state, header)
        found = Checkpoint(state, dict(header["config"]), dict(header["metadata"]))
        for step in range(version, form.version):
            found = form.upgrades[step](found)
        return found
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f"{path} has a damaged header ({error!r}): expected version, config and metadata; "
            "restore it from a copy"
        ) from error
