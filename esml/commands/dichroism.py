"""Circular dichroism for ``esml spectrum --cd``: which mirror image it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from esml.commands.messages import note

if TYPE_CHECKING:
    from esml.io.provenance import Provenance
    from esml.typing import Array

LEAST = 0.05
"""10⁻⁴⁰ cgs; smaller rotatory strengths are zero on screen."""


def warn_of_mirror_image(provenance: Provenance, rotatory_strengths: Array) -> None:
    """Warn where the input leaves open which of two mirror images is meant, and it matters."""
    if np.abs(rotatory_strengths).max(initial=0.0) >= LEAST and _either(provenance):
        note(
            "warning: the input does not say which of two mirror images is meant: one was made, "
            "and signs of R and Δε are its own (the other has the opposite ones, both together "
            "none); write the stereocentre, as [C@H] or [C@@H], or give a geometry file"
        )


def _either(provenance: Provenance) -> bool:
    from esml.io.geometry import is_own_mirror_image, parse_smiles
    from esml.io.provenance import MIRROR_IMAGE

    if provenance.smiles:
        return is_own_mirror_image(parse_smiles(provenance.smiles))
    return MIRROR_IMAGE in provenance.stereo
