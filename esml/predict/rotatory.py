"""Rotatory strengths in the gauge of choice.

Results, files and ``--cd`` hold the velocity gauge. It does not depend on the origin, whichever way
the singlets were found. The length gauge,

    R = ½ r_n·L_n in place of R = ½ ∇_n·L_n / ω ,

is the same in full linear response (:mod:`esml.physics.optical_activity`). Where singlets are those
of the Tamm–Dancoff approximation, as a warning says, it depends on the origin, and the difference
tells how little to believe either.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import torch
from ase import Atoms

from esml.physics.optical_activity import Gauge
from esml.physics.optical_activity import rotatory_strengths as in_response
from esml.physics.solvent import Solvent
from esml.predict.batching import Wanted
from esml.predict.solution import check_answered, in_order
from esml.predict.surrogate import Surrogate, medium_around
from esml.typing import Array


@torch.no_grad()
def rotatory_strengths(
    model: Surrogate,
    atoms: Atoms,
    n_states: int = 10,
    gauge: Gauge = "length",
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> Array:
    """Return the rotatory strengths of the ``n_states`` lowest singlets in a ``gauge``.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        One molecule.
    n_states
        Number of states; fewer if the molecule has fewer.
    gauge
        ``"length"``, or ``"velocity"`` as in ``result.singlets.rotatory_strengths``.
    solvent, point_charges
        As in ``Surrogate.predict``.

    Returns
    -------
    (n_states,) 10⁻⁴⁰ cgs.

    Raises
    ------
    StructureError
        If the model cannot treat the structure.
    InstabilityError
        If the closed shell is far from a minimum.
    ValueError
        If ``n_states`` is below 1 or there is no such gauge.
    """
    n_states = Wanted(n_states).n_states
    if gauge not in get_args(Gauge):
        raise ValueError(f"gauge is {gauge!r}: expected 'velocity' or 'length'; choose one")
    graph = model.graph([atoms])
    medium = medium_around(atoms, solvent, point_charges)
    solution = model(graph, n_states, n_triplets=1, medium=medium)
    check_answered(atoms, solution)
    singlets = solution.singlets
    found = in_response(
        solution.response,
        solution.operators.dipole,
        graph.positions.double(),
        singlets.energies,
        singlets.X + singlets.Y,
        singlets.X - singlets.Y,
        gauge,
    )
    strengths: Array = found[0, in_order(singlets)].cpu().numpy().astype(np.float64)
    return strengths
