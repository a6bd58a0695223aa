"""How far a prediction can be trusted.

domain       whether a molecule is like the training molecules
bonds        whether it has a bond or chain that none of them has
valence      whether it has a valence state
uncertainty  the expected error of an excitation energy
crystals     whether a crystal is like the training crystals
"""

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
