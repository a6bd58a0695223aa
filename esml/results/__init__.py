"""The answer for one molecule, in memory, read from a file and on screen: one class for each part.

``Result`` holds what the model predicts, ``States`` the excited states of one multiplicity,
``Failure`` (of ``esml.io.provenance``) why
there is no result. A property of a state is one field of ``States``.

result     a ``Result``: orbitals, charges, dipole and states
states     the states of one multiplicity, and what is known of each property
last_step  from a vertical energy to the measured maximum of a band
crystal    the answer for one crystal
"""

from esml.io.provenance import Failure, name_of
from esml.results.result import Outcome, Result
from esml.results.states import PROPERTIES, Property, States, half_width

__all__ = [
    "PROPERTIES",
    "Failure",
    "Outcome",
    "Property",
    "Result",
    "States",
    "half_width",
    "name_of",
]
