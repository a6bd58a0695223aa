"""How far a prediction can be trusted."""

from esml.confidence.bonds import bonds_and_chains
from esml.confidence.domain import Domain, Surroundings, Verdict, unfamiliar
from esml.confidence.uncertainty import ErrorModel
from esml.confidence.valence import no_valence_state

__all__ = [
    "Domain",
    "ErrorModel",
    "Surroundings",
    "Verdict",
    "bonds_and_chains",
    "no_valence_state",
    "unfamiliar",
]
