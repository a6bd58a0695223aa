"""The result for one molecule: in memory, read from a file and on screen.

``Result`` holds the prediction, ``States`` the excited states of one multiplicity, and ``Failure``
(of ``esml.io.provenance``) says why there is no result. Each property of a state is one field of
``States``.

result        a ``Result``: orbitals, charges, dipole and states
states        the states of one multiplicity, and how each property is stored and shown
details       one state in detail
band_maximum  the maximum of a band to expect in a measured spectrum
last_step     from a vertical energy to that maximum
crystal       the result for one crystal
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
