"""Units of light in headings: of wavelength, of energy, of wavenumber and of frequency.

A unit counts before a word: ``Energy (cm-1)`` is in cm⁻¹. Without a unit, the word decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from esml.typing import Array
from esml.units import HC

_LIGHT_PER_TERAHERTZ = 299792.458
"""Speed of light, nm·THz."""

_KJ_PER_MOL = 96.48533212331
"""One eV in kJ/mol."""

_KCAL_PER_MOL = _KJ_PER_MOL / 4.184

EMISSION = re.compile(
    r"(?<![a-z])emi(ss|t|(?![a-z]))|fluoresc(?!ein)|phosphoresc|luminesc|lambda ?em(?![a-z])|"
    r"(?<![a-z])(fluor|em|pl|ex|exc)(?![a-z])",
    re.IGNORECASE,
)
"""Headings of emission and of the light that excites it."""

_PER_CM = r"(?:cm *\^? *[({]?[-−–⁻] *[1¹]|1 */ *cm\b|/ *cm\b|kayser)"


Numbers = TypeVar("Numbers", float, Array)


@dataclass(frozen=True)
class LightUnit:
    """A unit of light."""

    name: str
    factor: float
    """nm in one unit of a wavelength; eV in one unit of an energy."""
    of_energy: bool

    def to_nm(self, values: Numbers) -> Numbers:
        """Convert positive ``values`` to wavelengths in nm."""
        return HC / (values * self.factor) if self.of_energy else values * self.factor

    def to_ev(self, values: Numbers) -> Numbers:
        """Convert positive ``values`` to energies in eV."""
        return values * self.factor if self.of_energy else HC / (values * self.factor)


NM = LightUnit("nm", 1.0, of_energy=False)
EV = LightUnit("eV", 1.0, of_energy=True)
PER_CM = LightUnit("cm-1", HC * 1e-7, of_energy=True)

_UNITS: tuple[tuple[str, LightUnit], ...] = (
    (
        rf"(?:10 *(?:\^|\*\*)? *[3³]|1[, ]?000|1e\+?0?3) *[·×x*]? *{_PER_CM}"
        rf"|(?<![a-z])k{_PER_CM}|(?<![a-z])kK(?![a-z])",
        LightUnit("1000 cm-1", HC * 1e-4, of_energy=True),
    ),
    (_PER_CM, PER_CM),
    (r"[µμ]m(?![a-z])|(?<![a-z])um(?![a-z])|micromet|micron", LightUnit("µm", 1e3, False)),
    (r"(?<![^\W\d_])[ÅÅ](?![^\W\d_])|angstr|ångstr", LightUnit("Å", 0.1, False)),
    (r"(?<![a-z])nm(?![a-z])|nanomet", NM),
    (r"(?<![a-z])mev(?![a-z])", LightUnit("meV", 1e-3, True)),
    (r"(?<![a-z])ev(?![a-z])|electron ?volt", EV),
    (r"(?<![a-z])kj *[/·. ]? *mol", LightUnit("kJ/mol", 1.0 / _KJ_PER_MOL, True)),
    (r"(?<![a-z])kcal *[/·. ]? *mol", LightUnit("kcal/mol", 1.0 / _KCAL_PER_MOL, True)),
    (r"(?<![a-z])thz(?![a-z])", LightUnit("THz", HC / _LIGHT_PER_TERAHERTZ, True)),
)

_WORDS: tuple[tuple[str, LightUnit], ...] = (
    (r"wave ?number", PER_CM),
    (r"wave ?length|λ|lambda|wellenl", NM),
    (r"(?<![a-z])energ", EV),
)


def stated_unit(heading: str) -> LightUnit | None:
    """Return the unit of light that a heading states; None if it states none."""
    return _first(_UNITS, heading)


def unit_by_word(heading: str) -> LightUnit | None:
    """Return the usual unit of the kind of light that a heading names; None if it names none."""
    return _first(_WORDS, heading)


def _first(patterns: tuple[tuple[str, LightUnit], ...], heading: str) -> LightUnit | None:
    text = heading.replace("_", " ")
    found = (unit for pattern, unit in patterns if re.search(pattern, text, re.IGNORECASE))
    return next(found, None)
