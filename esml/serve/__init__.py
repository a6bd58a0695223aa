"""A web page, a REST interface and tools for assistants, on this machine.

    text (SMILES, file) → Service → answer (states, spectrum, page)
                          Batches → files of predictions

service  answers about one molecule
batches  lists of molecules, predicted one after another and resumed after a kill
limits   what a question may ask for, and the error for one that asks more
app      the web application of both: the page and the REST interface
tools    both as tools of the model context protocol
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
