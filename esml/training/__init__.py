"""Train a surrogate on reference records, score it, and calibrate its uncertainties.

``train`` runs a ``TrainingConfig``; ``evaluate`` compares a model with labels; ``calibrate`` fits
the domain and the error model. The loop calls ``calibrate_file`` at the end of a run.

config           what can be configured
loop             one pass after another; a stopped run continues
run              the run in memory: how it starts, one pass over the data
state            the run on disk
log              what it reports, in ``log.csv`` and on the terminal
objectives       for each kind of model: how it is built, trained, scored, saved
targets          labels as padded tensors
losses           what is minimized
direct           labels and losses of the direct model
scores           deviations from labels
evaluation       how good a model is
baseline         how good composition alone is
measured_maxima  predicted beside measured absorption maxima
calibration      the domain and the size of errors
domain           the domain, from the training molecules
reach            how errors grow beyond these
card             what a model file says of its training
crystals         the same for models of crystals
"""

from __future__ import annotations

from esml.training.calibration import LeftOut, calibrate, calibrate_file
from esml.training.config import ConfigError, TrainingConfig, load_config
from esml.training.evaluation import evaluate, format_evaluation
from esml.training.loop import train
from esml.training.scores import Scores

__all__ = [
    "ConfigError",
    "LeftOut",
    "Scores",
    "TrainingConfig",
    "calibrate",
    "calibrate_file",
    "evaluate",
    "format_evaluation",
    "load_config",
    "train",
]
