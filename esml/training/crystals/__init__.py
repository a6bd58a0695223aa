"""Training of models of crystals: ``esml train`` with ``model: {kind: crystals}``.

config          settings
tables          what is trained: parts that elements share, summed into tables
two_centre_fit  where training starts: tables by least squares of H(R)
losses          bands, d-band centres and d populations of one crystal
loop            seeded, resumable passes over the crystals
scores          errors of a model on records
"""

from esml.training.crystals.config import CrystalLossWeights, CrystalTrainingConfig
from esml.training.crystals.loop import is_of_crystals, train
from esml.training.crystals.scores import CrystalScores, scores

__all__ = [
    "CrystalLossWeights",
    "CrystalScores",
    "CrystalTrainingConfig",
    "is_of_crystals",
    "scores",
    "train",
]
