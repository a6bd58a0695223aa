"""Circular dichroism for ``esml spectrum --cd``: what is told of it, and doubts about its signs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from esml.commands.messages import console

if TYPE_CHECKING:
    from esml.analysis.dichroism import Dichroism
    from esml.io.provenance import Provenance
    from esml.results import Result

LEAST = 0.05
"""10⁻⁴⁰ cgs; smaller rotatory strengths are zero on screen."""

EITHER = (
    "the input does not say which of two mirror images is meant: one was made, and signs of R and "
    "Δε are its own (the other has the opposite ones, both together none); write the stereocentre, "
    "as [C@H] or [C@@H], or give a geometry file"
)


def with_mirror_image_warning(result: Result, provenance: Provenance) -> Result:
    """Add a warning where the input leaves open which mirror image is meant, and it matters."""
    strengths = np.abs(result.singlets.rotatory_strengths)
    if strengths.max(initial=0.0) < LEAST or not _either(provenance):
        return result
    return replace(result, warnings=(*result.warnings, EITHER))


def _either(provenance: Provenance) -> bool:
    from esml.io.geometry import is_own_mirror_image, parse_smiles
    from esml.io.provenance import MIRROR_IMAGE

    if provenance.smiles:
        return is_own_mirror_image(parse_smiles(provenance.smiles))
    return MIRROR_IMAGE in provenance.stereo


def print_dichroism(curve: Dichroism) -> None:
    """Print the largest Δε, and how often signs are right."""
    from rich.text import Text

    from esml.analysis.dichroism import STATEMENT

    place, height = curve.largest
    said = [f"largest Δε: {height:+.2f} L/mol/cm at {place:.0f} nm"] if np.isfinite(place) else []
    screen = console()
    screen.print()
    for line in (*said, STATEMENT):
        screen.print(Text(line), soft_wrap=True)
