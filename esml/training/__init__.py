"""Train a model on reference records, score it, and calibrate its uncertainties.

``train`` runs a ``TrainingConfig``; ``evaluate`` compares a model with labels; ``calibrate`` fits
the domain and the error model. The loop calls ``calibrate_file`` at the end of a run.

config           configuration of a run
loop             training loop; an interrupted run continues
run              a run in memory: start, one pass over the data
state            a run on disk
log              reports of a run, in ``log.csv`` and on the terminal
objectives       building, training, scoring and saving each kind of model
targets          labels as padded tensors
losses           loss terms
direct           labels and losses of the direct model
scores           deviations from labels
evaluation       errors of a model
baseline         errors of a prediction from composition alone
measured_maxima  predicted and measured absorption maxima
calibration      domain and error model
domain           the domain, from the training molecules
reach            growth of errors beyond the training molecules
card             metadata of a model file
crystals         training of crystal models
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
