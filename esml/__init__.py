"""esml: an electronic-structure surrogate for excited states.

>>> import esml
>>> esml.predict("O=Cc1ccccc1").singlets  # a SMILES, a path, Atoms, …
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

_ROOMS = ("predict",)
"""Packages that can be called."""

_HOMES = {
    "CheckpointError": "esml.model.checkpoint",
    "Crystal": "esml.results.crystal",
    "CrystalSurrogate": "esml.predict.crystals",
    "ExcitedStateCalculator": "esml.interfaces.ase",
    "Failure": "esml.results",
    "InstabilityError": "esml.physics.excitations",
    "PointCharges": "esml.physics.point_charges",
    "Result": "esml.results",
    "Spectrum": "esml.analysis.spectrum",
    "Solvent": "esml.physics.solvent",
    "StructureError": "esml.io.structure_checks",
    "Surrogate": "esml.predict.surrogate",
    "SurrogateCalculator": "esml.interfaces.ase",
    "available_models": "esml.predict.model_files",
    "excitation_gradients": "esml.predict.gradients",
    "load_model": "esml.predict.model_files",
    "pyscf_guess": "esml.interfaces.pyscf",
    "save_model": "esml.predict.model_files",
    "state_couplings": "esml.predict.couplings",
}

__all__ = [
    "CheckpointError",
    "Crystal",
    "CrystalSurrogate",
    "ExcitedStateCalculator",
    "Failure",
    "InstabilityError",
    "PointCharges",
    "Result",
    "Solvent",
    "Spectrum",
    "StructureError",
    "Surrogate",
    "SurrogateCalculator",
    "__version__",
    "available_models",
    "excitation_gradients",
    "load_model",
    "predict",
    "pyscf_guess",
    "save_model",
    "state_couplings",
]

if TYPE_CHECKING:
    from esml.analysis.spectrum import Spectrum
    from esml.interfaces.ase import ExcitedStateCalculator, SurrogateCalculator
    from esml.interfaces.pyscf import pyscf_guess
    from esml.io.structure_checks import StructureError
    from esml.model.checkpoint import CheckpointError
    from esml.physics.excitations import InstabilityError
    from esml.physics.point_charges import PointCharges
    from esml.physics.solvent import Solvent
    from esml.predict.couplings import state_couplings
    from esml.predict.crystals import CrystalSurrogate
    from esml.predict.gradients import excitation_gradients
    from esml.predict.model_files import available_models, load_model, save_model
    from esml.predict.surrogate import Surrogate
    from esml.results import Failure, Result
    from esml.results.crystal import Crystal


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(f"esml.{name}")
    raise AttributeError(f"module 'esml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
