"""Serve a web page, a REST interface and tools for assistants on this machine.

    text (SMILES, file) → Service → answer (states, spectrum, page)
                          Batches → files of predictions

service  answers about one molecule
batches  lists of molecules, predicted one after another and resumed after a kill
limits   limits of requests, and the error for requests that exceed them
app      web application: the page and the REST interface
tools    tools of the model context protocol
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
