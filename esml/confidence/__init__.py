"""How far a prediction can be trusted."""

from esml.confidence.bonds import Chains
from esml.confidence.domain import Domain, TrainingLikeness, Verdict, unfamiliar
from esml.confidence.uncertainty import ErrorModel
from esml.confidence.valence import no_valence_state

__all__ = [
    "Chains",
    "Domain",
    "ErrorModel",
    "TrainingLikeness",
    "Verdict",
    "no_valence_state",
    "unfamiliar",
]
