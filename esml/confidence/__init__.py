"""How far a prediction can be trusted.

domain       is a molecule like the training molecules
bonds        has it a bond or chain that none of them has
valence      has it no valence state
uncertainty  the expected error of an excitation energy
crystals     is a crystal like the training crystals
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
