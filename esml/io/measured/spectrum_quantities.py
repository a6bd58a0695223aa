"""Quantities in the columns of measured spectra, by their headings: what is absorption, and how.

Absorbance and transmittance have no unit, molar absorption coefficients are in L mol⁻¹ cm⁻¹;
factors in a heading, such as 10⁴, are undone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np

from esml.io.measured.light_units import EMISSION, stated_unit, unit_by_word
from esml.io.provenance import InputError
from esml.typing import Array

Quantity = Literal["absorbance", "molar absorption coefficient"]

Kind = Literal["light", "value", "transmittance", "background", "other", "unknown"]
"""What a column holds: ``background`` is absorption of something else than the sample, ``other`` a
quantity that is not absorption."""

LARGEST_ABSORBANCE = 20.0
"""Without a heading, larger numbers are molar absorption coefficients: no spectrometer measures an
absorbance above ten."""

LARGEST_FRACTION = 1.5
"""Larger transmittances are in percent; noise may exceed one."""

_MOLAR = re.compile(
    r"(?<![a-z])eps|ε|ϵ|(?<![a-z])molar(?![a-z])|(?<![a-z])l[ ._/·*]{0,2}\(?mol|"
    r"mol ?\^?[-−⁻] ?[1¹]|(?<![a-zµμ])m?m ?\^?[-−⁻] ?[1¹]|/ ?\(?m[ ·*/]+cm|/ ?mol|extinction|"
    r"absorptivity",
    re.IGNORECASE,
)
_PER_MOLE = re.compile(r"k(j|cal) *[/·. ]? *mol( ?\^?[-−⁻] ?[1¹])?", re.IGNORECASE)
_ABSORPTION = re.compile(
    r"(?<![a-z])abs(?![a-z])|absorb|absorption|optical density|(?<![a-z])od(?![a-z])|"
    r"(?<![a-z])a(?![a-z])|(?<![a-z])a\.?u(?![a-z])",
    re.IGNORECASE,
)
_TRANSMITTANCE = re.compile(
    r"% ?t(?![a-z])|(?<![a-z])t ?[(\[/]? ?%|transmitt|transmission", re.IGNORECASE
)
_OTHER = re.compile(
    r"reflect|% ?r(?![a-z])|ellipticity|mdeg|dichro|delta eps|Δ ?ε|derivative", re.IGNORECASE
)
_BACKGROUND = re.compile(
    r"base ?line|background|blank|(?<![a-z])(dark|ref|reference|sd|std)(?![a-z])|error|uncertain",
    re.IGNORECASE,
)
_LOGARITHM = re.compile(r"(?<![a-z])(log|lg)", re.IGNORECASE)
_MILLIMOLAR = re.compile(r"(?<![A-Za-z])mM ?\^?[-−⁻] ?[1¹]")
_AREA = re.compile(r"(?<![a-z])(c?)m ?\^?[2²]", re.IGNORECASE)
"""m² mol⁻¹ or cm² mol⁻¹ in place of L mol⁻¹ cm⁻¹."""
_POWER = re.compile(
    r"10 ?(?:\^|\*\*)? ?[({]?[-−–⁻] ?([2-6²³⁴⁵⁶])|10 ?(?:\^|\*\*) ?[({]?\+?([2-6])|10([²³⁴⁵⁶])|"
    r"1e[-+]?0?([2-6])",
    re.IGNORECASE,
)
_ROUND = re.compile(r"(?<![\d.])10{0,2}[ ,]?000(?!\d)")
_SUPERSCRIPTS = str.maketrans("²³⁴⁵⁶", "23456")


def kind_of_column(heading: str) -> Kind:
    """Return what a column holds, by its heading."""
    text = heading.replace("_", " ")
    by_word = unit_by_word(text) is not None
    if EMISSION.search(text) or _OTHER.search(text):
        return "other"
    if _TRANSMITTANCE.search(text):
        return "background" if _BACKGROUND.search(text) else "transmittance"
    if _is_molar(text) or (_ABSORPTION.search(text) and not by_word):
        return "background" if _BACKGROUND.search(text) else "value"
    if by_word or stated_unit(text) is not None:
        return "light"
    return "background" if _BACKGROUND.search(text) else "unknown"


def check_absorption(heading: str, path: Path) -> None:
    """Raise InputError if the heading is of another quantity than absorption."""
    if kind_of_column(heading) == "other":
        raise InputError(
            f"'{path}' has values under the heading '{heading}', which is no absorption: expected "
            "absorbance, transmittance or ε; give a measured absorption spectrum"
        )


def quantity_of(heading: str, values: Array, path: Path) -> tuple[Quantity, Array, str]:
    """Return the quantity, its values without factors and logarithms, and why.

    Raises
    ------
    InputError
        If the heading is one of another quantity, or a transmittance is not positive.
    """
    check_absorption(heading, path)
    text = heading.replace("_", " ")
    why = f"its heading is '{heading}'"
    if _TRANSMITTANCE.search(text):
        percent = "%" in text or "percent" in text.lower() or values.max() > LARGEST_FRACTION
        unit = "percent" if percent else "fractions"
        return "absorbance", _absorbance(values, percent, path), f"{why}: transmittance in {unit}"
    if _is_molar(text):
        if _LOGARITHM.search(text):
            return "molar absorption coefficient", 10.0**values, why
        factor = _factor(text)
        why += f", so values were multiplied by {factor:g}" if factor != 1.0 else ""
        return "molar absorption coefficient", factor * values, why
    if _ABSORPTION.search(text):
        return "absorbance", values, why
    if values.max() > LARGEST_ABSORBANCE:
        why = f"no heading says so; values reach {values.max():g}"
        return "molar absorption coefficient", values, why
    return "absorbance", values, "no heading says so; values are small"


def _is_molar(text: str) -> bool:
    return _MOLAR.search(_PER_MOLE.sub("", text)) is not None


def _factor(text: str) -> float:
    """Factor to L mol⁻¹ cm⁻¹. ``ε (10^4 …)`` and ``10^-4 ε`` both mean numbers to be multiplied."""
    factor = 1000.0 if _MILLIMOLAR.search(text) else 1.0
    if area := _AREA.search(text):
        factor = 1e-3 if area[1] else 10.0
    if found := _POWER.search(text):
        power = next(each for each in found.groups() if each)
        return factor * 10.0 ** int(power.translate(_SUPERSCRIPTS))
    if whole := _ROUND.search(text):
        return factor * float(re.sub(r"\D", "", whole[0]))
    return factor


def _absorbance(transmittance: Array, percent: bool, path: Path) -> Array:
    if not (transmittance > 0).all():
        raise InputError(
            f"'{path}' has a transmittance of {transmittance.min():g}: expected positive numbers, "
            "because absorbance is minus their logarithm; remove these lines or export absorbance"
        )
    absorbance: Array = -np.log10(transmittance / (100.0 if percent else 1.0))
    return absorbance
