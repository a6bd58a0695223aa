"""Load and save models, by name (shipped models) or path."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import torch

from esml.confidence.domain import Domain
from esml.confidence.uncertainty import ErrorModel
from esml.model import checkpoint
from esml.model.hamiltonian import from_config
from esml.predict.surrogate import Surrogate

if TYPE_CHECKING:
    from esml.predict.crystals import CrystalSurrogate

DEFAULT_MODEL = "best_estimate"
"""Name of the model that ``load_model()`` loads; its energies are fitted to best estimates."""

SOLIDS, ELECTROLYTES = "solids", "electrolytes"
"""Names of the models of crystals: alloys, and crystals of Li, P, S and Cl."""

OF_CRYSTALS = (SOLIDS, ELECTROLYTES)
"""Shipped models for crystals only."""

ALIASES = {"default": DEFAULT_MODEL}
"""Other names of shipped models."""

DOMAIN, ERRORS = "domain.", "uncertainty."
"""Prefixes, in a model file, of the tensors that are not weights of the Hamiltonian."""


def content(model: Surrogate) -> checkpoint.Checkpoint:
    """Return the content of a file of ``model``."""
    state = dict(model.hamiltonian.state_dict())
    for prefix, part in ((DOMAIN, model.domain), (ERRORS, model.error_model)):
        if part is not None:
            state |= {prefix + name: tensor for name, tensor in part.state().items()}
    return checkpoint.Checkpoint(
        state=state,
        config=model.hamiltonian.config.model_dump(),
        metadata=model.metadata,
    )


def save_model(model: Surrogate | CrystalSurrogate, path: str | Path) -> None:
    """Write a model to one safetensors file.

    Parameters
    ----------
    model
        A model of molecules or of crystals.
    path
        The file; an existing one is replaced.
    """
    if isinstance(model, Surrogate):
        checkpoint.save(path, content(model))
        return
    from esml.predict.crystals import save_crystal_model

    save_crystal_model(model, path)


def check_device(device: torch.device | str) -> None:
    """Raise ValueError if nothing can be computed on ``device``."""
    try:
        torch.zeros(1, device=device)
    # Torch raises different exceptions for different devices that it lacks.
    except Exception as error:
        raise ValueError(
            f"device {str(device)!r} cannot be used ({str(error).splitlines()[0]}): expected 'cpu' "
            "or an accelerator of this machine such as 'cuda'; choose one"
        ) from error


def available_models() -> list[str]:
    """Return the names of the models shipped with the package."""
    folder = files("esml") / "weights"
    return sorted(
        p.name.removesuffix(".safetensors")
        for p in folder.iterdir()
        if p.name.endswith(".safetensors")
    )


@overload
def load_model(  # type: ignore[overload-overlap]  # one name is that of a model of crystals
    name: Literal["solids", "electrolytes"],
    dtype: torch.dtype = ...,
    device: torch.device | str = ...,
) -> CrystalSurrogate: ...
@overload
def load_model(
    name: str | Path | None = None, dtype: torch.dtype = ..., device: torch.device | str = ...
) -> Surrogate: ...
def load_model(
    name: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Surrogate | CrystalSurrogate:
    """Load a trained model.

    Parameters
    ----------
    name
        Name of a shipped model, or the path of a model file; the default model if None.
        ``"solids"``, ``"electrolytes"`` and files of models of crystals give a
        ``CrystalSurrogate``.
    dtype
        Precision of the network; models of crystals always compute in double precision.
    device
        Device that computes, such as ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    The model, ready to predict.

    Raises
    ------
    CheckpointError
        If there is no such model, or its file cannot be used.
    ValueError
        If there is no such device.
    """
    check_device(device)
    name = DEFAULT_MODEL if name is None else name
    name = ALIASES.get(str(name), name)
    path = Path(name)
    if str(name) in available_models():
        path = Path(str(files("esml") / "weights" / f"{name}.safetensors"))
    elif not path.is_file():
        raise checkpoint.CheckpointError(
            f"no model {str(name)!r}: expected one of {', '.join(available_models()) or 'none'} or "
            "the path of a .safetensors file; check the name or the path"
        )
    found = checkpoint.load(path)
    try:
        if found.config.get("kind") == checkpoint.CRYSTALS:
            # Imported here so that molecules do not wait for the modules of crystals.
            from esml.predict.crystals import crystal_surrogate

            return crystal_surrogate(found).to(device)
        return _surrogate(found, dtype).to(device).eval()
    except (ValueError, RuntimeError, KeyError) as error:
        raise checkpoint.CheckpointError(
            f"{path} does not fit this version of esml ({' '.join(str(error).split())[:200]}): "
            "expected weights and configuration of one model; train it again or update esml"
        ) from error


def _surrogate(found: checkpoint.Checkpoint, dtype: torch.dtype) -> Surrogate:
    domain, errors = (found.split_off(prefix) for prefix in (DOMAIN, ERRORS))
    with checkpoint.no_larger_than(found.state):
        hamiltonian = from_config(found.config).to(dtype)
    hamiltonian.load_state_dict(found.state)
    return Surrogate(
        hamiltonian,
        found.metadata,
        Domain(domain) if domain else None,
        ErrorModel(errors) if errors else None,
    )


def molecular_model(
    name: str | Path | None = None, device: torch.device | str = "cpu"
) -> Surrogate:
    """Load a model of molecules; raise CheckpointError for a model of crystals."""
    found: Surrogate | CrystalSurrogate = load_model(name, device=device)
    if not isinstance(found, Surrogate):
        raise checkpoint.CheckpointError(
            f"{str(name)!r} is a model of crystals where one of molecules is expected: use `esml "
            "bands` or `esml dos` with it, or choose another model"
        )
    return found


def solid_model(
    name: str | Path | None = None,
    device: torch.device | str = "cpu",
    elements: Collection[int] = (),
) -> CrystalSurrogate:
    """Load a model of crystals; raise CheckpointError for others.

    Without a name, it is the shipped one that supports all ``elements`` (atomic numbers), or else
    that of alloys.
    """
    from esml.physics.crystals.shells import SHELLS
    from esml.predict.crystals import CrystalSurrogate

    if name is None:
        ions = bool(elements) and all("d" not in SHELLS.get(z, "d") for z in elements)
        name = ELECTROLYTES if ions else SOLIDS
    found: Surrogate | CrystalSurrogate = load_model(name, device=device)
    if not isinstance(found, CrystalSurrogate):
        raise checkpoint.CheckpointError(
            f"{str(name)!r} is a model of molecules where one of crystals is expected: leave "
            f"--model out or choose {SOLIDS!r}"
        )
    return found
