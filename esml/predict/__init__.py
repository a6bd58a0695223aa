"""Predict results for structures with a trained model.

The package is also a function: ``esml.predict("C=O")`` (see ``esml.predict.anything``).
``load_model`` gives a ``Surrogate``, whose ``predict`` and ``predict_many`` give results. For whole
files import ``esml.predict.run``, for Dask clusters ``esml.predict.cluster``. The names in
``__all__`` are loaded on first use, so that predicting one molecule does not wait for the rest.

anything       any description of molecules → results, in one call
model_files    models by name or path
surrogate      a trained model of molecules, made up of the following
batching       which structures are solved together
solution       the prediction for a batch, and the results made from it
stated_errors  expected errors, and the domain of the model
gradients      gradients of excitation energies
couplings      gradients and couplings of states, for dynamics
dipoles        relaxed dipole moments of excited states
charges        relaxed charges of excited states
dipole_slopes  derivatives of transition dipoles along normal modes
vibrational_averages  means of excitation energies over zero-point and thermal motion
vibronic       vibronic bands of a molecule
rotatory       rotatory strengths in either gauge
details        one state in detail: dipole, charges, absorption, spin–orbit coupling
two_photon     two-photon absorption of a molecule
crystals       a trained model of crystals
windows        predicts structures for files, with band maxima to expect
run            predicts many files into one output; a stopped run continues
journal        journal of what such a run has predicted so far
cluster        predicts a stream of structures on a Dask cluster
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Batching": "esml.predict.batching",
    "ExcitationGradients": "esml.predict.gradients",
    "StateCouplings": "esml.predict.couplings",
    "Surrogate": "esml.predict.surrogate",
    "available_models": "esml.predict.model_files",
    "excitation_gradients": "esml.predict.gradients",
    "load_model": "esml.predict.model_files",
    "save_model": "esml.predict.model_files",
    "state_couplings": "esml.predict.couplings",
}

__all__ = [
    "Batching",
    "ExcitationGradients",
    "StateCouplings",
    "Surrogate",
    "available_models",
    "excitation_gradients",
    "load_model",
    "save_model",
    "state_couplings",
]

if TYPE_CHECKING:
    from esml.predict.batching import Batching
    from esml.predict.couplings import StateCouplings, state_couplings
    from esml.predict.gradients import ExcitationGradients, excitation_gradients
    from esml.predict.model_files import available_models, load_model, save_model
    from esml.predict.surrogate import Surrogate


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'esml.predict' has no attribute {name!r}")


class _Room(ModuleType):
    """Type of this module, which makes it callable: ``esml.predict(molecules)``."""

    def __call__(self, molecules: Any, n_states: int = 10, **options: Any) -> Any:
        """Call ``esml.predict.anything.predict``."""
        from esml.predict.anything import predict

        return predict(molecules, n_states, **options)


sys.modules[__name__].__class__ = _Room
