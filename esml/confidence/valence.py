"""Molecules without a valence state: their lowest states are Rydberg states, which models lack.

A Rydberg electron in 3s is bound by R / (3 − δ)² ≈ 3.2 eV (R = 13.6 eV, quantum defect δ ≈ 0.95;
M. B. Robin, Higher Excited States of Polyatomic Molecules, 1974), and −ε_HOMO of the labels is a
little less than the ionization energy. Rydberg states therefore begin about ``RYDBERG`` below
−ε_HOMO. If even the lowest triplet of the minimal basis lies above this energy, the molecule has no
valence state below its Rydberg states: it is saturated, and its σσ* or nσ* states in the minimal
basis are in truth Rydberg states, which the basis cannot describe.

In a cation of charge q, the electron is bound (q + 1)² times as strongly. This formula holds for a
small core: for ammonium it gives 10 eV, where the HOMO is bound by 24 eV. A cationic dye is as
large as the Rydberg orbital, and its HOMO is bound by some 9 eV. If the formula gives more than
``LIMIT`` times the binding energy of the HOMO, it does not apply, and there is no warning. Anions
have no Rydberg states, because their core is neutral, so there is no warning for them either.

The lowest triplet decides, not the singlet: unsaturated molecules such as ethene may have Rydberg
singlets below the first ππ* singlet, but their ππ* triplet lies some eV lower.
"""

from __future__ import annotations

import torch
from torch import Tensor

LIMIT = 0.75
"""Largest binding energy from the formula that is used, as a share of that of the HOMO."""

RYDBERG = 2.5
"""Rydberg states begin at this energy below −ε_HOMO, eV. Of the 2,521 molecules of the data sets,
348 have no triplet below that: all of the 141 whose lowest singlet and triplet labels are not
valence states (weight below 0.85), and of the others mostly saturated chlorides, sulfides, oxiranes
and hydroxylamines. Measured by ``python -m scripts.accuracy.valence_states``."""


def no_valence_state(triplets: Tensor, homo: Tensor, charges: Tensor) -> list[str | None]:
    """Return warnings for molecules without a valence state in the minimal basis.

    Parameters
    ----------
    triplets : Tensor
        (M, S) triplet energies, eV, ascending; nan where there is none.
    homo : Tensor
        (M,) HOMO energies, eV.
    charges : Tensor
        (M,) total charges, e.

    Returns
    -------
    list of str or None
        A sentence for each molecule without a valence state, None for the others.
    """
    if triplets.shape[1] == 0:
        return [None] * len(homo)
    lowest = triplets[:, 0].detach()
    bound, rydberg = -homo.detach(), RYDBERG * (charges + 1).square()
    meaningless = (charges < 0) | (rydberg > LIMIT * bound)
    edge = torch.where(meaningless, torch.inf, bound - rydberg)
    # Comparisons with nan are false: without a triplet there is no warning.
    return [
        (
            f"the molecule has no valence state: even its lowest triplet ({t:.1f} eV) lies "
            f"where Rydberg states begin ({e:.1f} eV), which the model does not have"
        )
        if t > e
        else None
        for t, e in zip(lowest.tolist(), edge.tolist(), strict=True)
    ]
