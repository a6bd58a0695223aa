"""A web page, a REST interface and tools for assistants, on this machine.

    text (SMILES, file) → Service → answer (states, spectrum, page)
                          Batches → files of predictions

``Service`` answers about one molecule, ``Batches`` predicts lists and resumes after a kill.
``create_app`` makes both a web application, ``create_tools`` tools of the model context protocol.
"""

from esml.serve.app import create_app
from esml.serve.batches import Batches
from esml.serve.limits import Limits, RefusedError
from esml.serve.service import Question, Service
from esml.serve.tools import create_tools

__all__ = [
    "Batches",
    "Limits",
    "Question",
    "RefusedError",
    "Service",
    "create_app",
    "create_tools",
]
