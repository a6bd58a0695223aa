"""From structures to results with a trained model.

``load_model`` gives a ``Surrogate``, whose ``predict`` and ``predict_many`` give results. For whole
files there is ``esml.predict.run``, for Dask clusters ``esml.predict.cluster``; they are imported
from there, for who predicts one molecule need not wait for them.
"""

from esml.predict.batching import Batching
from esml.predict.couplings import StateCouplings, state_couplings
from esml.predict.gradients import ExcitationGradients, excitation_gradients
from esml.predict.model_files import available_models, load_model, save_model
from esml.predict.surrogate import Surrogate

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
