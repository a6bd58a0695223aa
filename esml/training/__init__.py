"""Training and evaluation of surrogates on reference records."""

from __future__ import annotations

from esml.training.calibration import LeftOut, calibrate, calibrate_file
from esml.training.config import ConfigError, TrainingConfig, load_config
from esml.training.evaluation import Scores, evaluate, format_evaluation
from esml.training.loop import train

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
