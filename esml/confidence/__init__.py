"""How far a prediction can be trusted."""

from esml.confidence.bonds import bonds_and_chains
from esml.confidence.domain import Domain, Surroundings, Verdict, unfamiliar
from esml.confidence.uncertainty import ErrorModel

__all__ = ["Domain", "ErrorModel", "Surroundings", "Verdict", "bonds_and_chains", "unfamiliar"]
