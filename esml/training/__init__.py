"""Train a surrogate on reference records, score it, and calibrate its uncertainties.

``train`` runs a ``TrainingConfig``; ``evaluate`` compares a model with labels; ``calibrate`` fits
the domain and the error model. The loop calls ``calibrate_file`` at the end of a run.
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
