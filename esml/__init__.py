"""esml: an electronic-structure surrogate for excited states.

>>> import esml
>>> model = esml.load_model()
>>> result = model.predict(atoms, n_states=10)
>>> result.singlets.energies  # eV

What ``__all__`` names is the public surface; it is loaded on first use, so that importing the
package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "CheckpointError": "esml.checkpoint",
    "ExcitedStateCalculator": "esml.calculator",
    "Failure": "esml.surrogate",
    "InstabilityError": "esml.excitations",
    "Result": "esml.surrogate",
    "Spectrum": "esml.spectrum",
    "StructureError": "esml.graph",
    "Surrogate": "esml.surrogate",
    "SurrogateCalculator": "esml.calculator",
    "available_models": "esml.surrogate",
    "excitation_gradients": "esml.gradients",
    "load_model": "esml.surrogate",
    "pyscf_guess": "esml.guess",
    "save_model": "esml.surrogate",
}

__all__ = [
    "CheckpointError",
    "ExcitedStateCalculator",
    "Failure",
    "InstabilityError",
    "Result",
    "Spectrum",
    "StructureError",
    "Surrogate",
    "SurrogateCalculator",
    "__version__",
    "available_models",
    "excitation_gradients",
    "load_model",
    "pyscf_guess",
    "save_model",
]

if TYPE_CHECKING:
    from esml.calculator import ExcitedStateCalculator, SurrogateCalculator
    from esml.checkpoint import CheckpointError
    from esml.excitations import InstabilityError
    from esml.gradients import excitation_gradients
    from esml.graph import StructureError
    from esml.guess import pyscf_guess
    from esml.spectrum import Spectrum
    from esml.surrogate import (
        Failure,
        Result,
        Surrogate,
        available_models,
        load_model,
        save_model,
    )


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'esml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
