"""Molecules without a valence state: their lowest states are Rydberg states, which no model has.

A Rydberg electron in 3s is bound by R / (3 − δ)² ≈ 3.2 eV (R = 13.6 eV, quantum defect δ ≈ 0.95;
M. B. Robin, Higher Excited States of Polyatomic Molecules, 1974), and −ε_HOMO of the labels is a
little less than the ionization energy. So Rydberg states begin about ``RYDBERG`` below −ε_HOMO.
Where even the lowest triplet of the minimal basis lies above, the molecule has no valence state
below them: it is saturated, and what the basis gives as σσ* or nσ* is a Rydberg state that it
cannot describe.

In a cation of charge q the electron is bound by (q + 1)² times as much. That is the formula of a
small core: in ammonium it gives 10 of the 24 eV that bind the HOMO. A cationic dye is as large as
the orbital, and its HOMO is bound by some 9 eV; where the formula asks for more than ``LIMIT`` of
what binds the HOMO, nothing is said. Anions have no Rydberg states, as their core is neutral, and
nothing is said of them either.

The triplet decides, not the singlet: unsaturated molecules such as ethene may have Rydberg singlets
below the first ππ* singlet, but the ππ* triplet lies some eV lower.
"""

from __future__ import annotations

import torch
from torch import Tensor

LIMIT = 0.75
"""Of what binds the HOMO; what the formula may ask for at most."""

RYDBERG = 2.5
"""eV below −ε_HOMO. Of the 2,521 molecules of the data sets, 348 have no triplet below that: all of
the 141 whose lowest singlet and triplet labels are no valence states (weight below 0.85), and of
the others mostly saturated chlorides, sulfides, oxiranes and hydroxylamines. Measured by
``python -m scripts.accuracy.valence_states``."""


def no_valence_state(triplets: Tensor, homo: Tensor, charges: Tensor) -> list[str | None]:
    """What to say of molecules whose basis holds no valence state.

    Parameters
    ----------
    triplets : Tensor
        (M, S) energies, eV, ascending; nan where there is none.
    homo : Tensor
        (M,) eV.
    charges : Tensor
        (M,) total charges, e.

    Returns
    -------
    list of str or None
        A sentence for each molecule without a valence state.
    """
    if triplets.shape[1] == 0:
        return [None] * len(homo)
    lowest = triplets[:, 0].detach()
    bound, rydberg = -homo.detach(), RYDBERG * (charges + 1).square()
    meaningless = (charges < 0) | (rydberg > LIMIT * bound)
    edge = torch.where(meaningless, torch.inf, bound - rydberg)
    # Comparisons with nan are false: without a triplet nothing is said.
    return [
        (
            f"the molecule has no valence state: even its lowest triplet ({t:.1f} eV) lies "
            f"where Rydberg states begin ({e:.1f} eV), which the model does not have"
        )
        if t > e
        else None
        for t, e in zip(lowest.tolist(), edge.tolist(), strict=True)
    ]
