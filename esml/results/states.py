"""The excited states of a molecule, and how their properties are stored and shown.

Each property of a state is one field of ``States``. The ``Property`` of the field gives its shape
and says how it is stored and shown; files, tables and the screen follow it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from esml.typing import Array, Multiplicity, same
from esml.units import HC


@dataclass(frozen=True)
class Property:
    """Shape, storage and display of a property of a state.

    Parameters
    ----------
    unit
        The unit, as text.
    shape
        Shape of one state's value.
    column
        Name of its column in tables with a row for every state; if empty, tables leave it out.
    ending
        Suffix of its columns in tables with a row for every molecule: ``eV`` for ``S1_eV``. Equal
        to ``column`` if left out.
    heading, digits
        Heading and decimals on screen; not shown if the heading is empty.
    on_request
        The screen shows it only on request.
    optional
        Computed only on request; otherwise nan, and absent from JSON, xyz, tables and the screen.
    zero_for_triplets
        Zero for triplets by symmetry, and neither stored nor shown for them.
    since
        First version of the HDF5 schema that stores it; nan when read from older files.
    """

    unit: str = ""
    shape: tuple[int, ...] = ()
    column: str = ""
    ending: str = ""
    heading: str = ""
    digits: int = 3
    on_request: bool = False
    optional: bool = False
    zero_for_triplets: bool = False
    since: int = 1

    def concerns(self, multiplicity: Multiplicity) -> bool:
        """Return whether the property can be nonzero for states of ``multiplicity``."""
        return not (self.zero_for_triplets and multiplicity == "triplet")


def state_property(**how: Any) -> Any:
    """Make a field of ``States`` with its ``Property``."""
    return field(metadata={"property": Property(**how)})


TWO_PHOTON = {
    "digits": 1,
    "on_request": True,
    "optional": True,
    "zero_for_triplets": True,
    "since": 8,
}
"""Common to two-photon properties: two photons cannot excite a triplet."""


@dataclass(frozen=True, eq=False, repr=False)
class States:
    """Excited states of one molecule and multiplicity, ascending in energy.

    ``states[:3]`` are the three lowest, ``states[states.energies < 5.0]`` those below 5 eV.
    ``states[0]`` holds only the lowest, and ``for state in states`` gives one at a time.

    An uncertainty u is the expected error of an energy against what the model's energies stand for
    (best estimates, or the level of theory it was trained on). ±1.645 u, the central 90 % of a
    normal distribution with standard deviation u, holds 90 % of the errors on molecules outside
    the training set. It is nan if the model file has no error model.
    """

    multiplicity: Multiplicity
    """``"singlet"`` or ``"triplet"``."""
    energies: Array = state_property(
        unit="eV", column="energy_eV", ending="eV", heading="E (eV)", digits=2
    )
    """(n_states,) excitation energies, eV above the ground state."""
    oscillator_strengths: Array = state_property(column="f", heading="f", zero_for_triplets=True)
    """(n_states,) oscillator strengths, zero for triplets."""
    transition_dipoles: Array = state_property(unit="e·bohr", shape=(3,), zero_for_triplets=True)
    """(n_states, 3) transition dipoles, e·bohr, sign arbitrary, zero for triplets."""
    uncertainties: Array = state_property(
        unit="eV", column="uncertainty_eV", heading="± (eV)", digits=2
    )
    """(n_states,) one standard deviation of the error of each energy, eV."""
    rotatory_strengths: Array = state_property(
        unit="10⁻⁴⁰ cgs",
        column="R",
        heading="R (10⁻⁴⁰ cgs)",
        digits=1,
        on_request=True,
        zero_for_triplets=True,
        since=4,
    )
    """(n_states,) rotatory strengths, 10⁻⁴⁰ cgs, of the mirror image that ``Result.positions`` are
    of; the other has the opposite signs. They are in the velocity gauge, which never depends on the
    origin; ``esml.predict.rotatory.rotatory_strengths`` has the length gauge."""
    two_photon_strengths: Array = state_property(
        unit="a.u.",
        column="two_photon_au",
        heading="δ (a.u.)",
        **TWO_PHOTON,
    )
    """(n_states,) δ for linearly polarized light, atomic units; nan unless computed by
    ``esml.predict.two_photon.with_two_photon``."""
    two_photon_circular_strengths: Array = state_property(
        unit="a.u.",
        column="two_photon_circular_au",
        heading="δ circular (a.u.)",
        **TWO_PHOTON,
    )
    """(n_states,) δ for circularly polarized light, atomic units; nan unless computed."""
    two_photon_cross_sections: Array = state_property(
        unit="GM",
        column="two_photon_GM",
        heading="σ (GM)",
        **TWO_PHOTON,
    )
    """(n_states,) σ for linearly polarized light, GM, at the maximum of a Lorentzian of half width
    0.1 eV; nan unless computed."""
    X: Array | None = None
    """(n_states, o, v) excitation amplitudes between ``Result.coefficients``."""
    Y: Array | None = None
    """(n_states, o, v) de-excitation amplitudes, zero for triplets."""

    @classmethod
    def of(
        cls,
        multiplicity: Multiplicity,
        values: Mapping[str, Array],
        X: Array | None = None,
        Y: Array | None = None,
    ) -> States:
        """Make states from the properties in ``values``, by name.

        All others are zero where symmetry makes them zero for triplets, else nan.

        Parameters
        ----------
        multiplicity
            Singlet or triplet.
        values
            Properties (n_states, ...) by name, energies among them.
        X, Y
            (n_states, o, v) amplitudes, where they are kept.
        """
        n_states = len(values["energies"])
        filled = {}
        for name, how in PROPERTIES.items():
            missing = np.nan if how.concerns(multiplicity) else 0.0
            filled[name] = (
                values[name] if name in values else np.full((n_states, *how.shape), missing)
            )
        return cls(multiplicity, **filled, X=X, Y=Y)

    @property
    def extras(self) -> list[str]:
        """Names of the optional properties that were computed."""
        return [
            name
            for name, how in PROPERTIES.items()
            if how.optional
            and how.concerns(self.multiplicity)
            and np.isfinite(getattr(self, name)).any()
        ]

    @property
    def told(self) -> dict[str, Property]:
        """The properties to show: those not zero by symmetry and, if optional, computed."""
        return told_properties(self.multiplicity, self.extras)

    @property
    def wavelengths(self) -> Array:
        """Wavelengths, nm; nan for states that are not above the ground state."""
        above = np.asarray(self.energies) > 0.0
        found: Array = np.where(above, HC / np.where(above, self.energies, 1.0), np.nan)
        return found

    @property
    def labels(self) -> list[str]:
        """Labels of the states: ``S1``, ``S2``, … or ``T1``, ``T2``, …"""
        return [f"{self.multiplicity[0].upper()}{k + 1}" for k in range(len(self))]

    def __len__(self) -> int:
        return len(self.energies)

    def __iter__(self) -> Iterator[States]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, which: int | slice | Sequence[int] | NDArray[Any]) -> States:
        if isinstance(which, int | np.integer):
            if not -len(self) <= which < len(self):
                raise IndexError(f"state {which} of {len(self)}")
            which = [int(which)]
        chosen = {name: getattr(self, name)[which] for name in PROPERTIES}
        X, Y = (None if a is None else a[which] for a in (self.X, self.Y))
        return States(self.multiplicity, **chosen, X=X, Y=Y)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, States) and same(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        number = f"{len(self)} {self.multiplicity}{'' if len(self) == 1 else 's'}"
        if not len(self):
            return f"States({number})"
        ends = dict.fromkeys(f"{energy:.2f}" for energy in self.energies[[0, -1]])
        return f"States({number}, {' to '.join(ends)} eV)"

    def _repr_html_(self) -> str:
        return html_table(*screen_table(self, requested=self.extras))

    def interval(self, level: float = 0.9) -> Array:
        """Return intervals that hold a given share of the errors.

        They are calibrated at 0.9; at other levels they assume normally distributed errors.

        Parameters
        ----------
        level
            The share, between 0 and 1.

        Returns
        -------
        (n_states, 2) lower and upper end, eV.

        Raises
        ------
        ValueError
            For a level outside 0 to 1.
        """
        half = half_width(level) * self.uncertainties
        return np.stack([self.energies - half, self.energies + half], axis=1)


PROPERTIES: Mapping[str, Property] = {
    part.name: part.metadata["property"] for part in fields(States) if "property" in part.metadata
}
"""Properties of a state by name, in the order of the fields of ``States``."""


def half_width(level: float) -> float:
    """Return z such that ±z standard deviations hold a share ``level`` of a normal distribution.

    Raises ValueError for a level outside 0 to 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}: expected a share between 0 and 1, such as 0.9")
    return float(ndtri(0.5 + 0.5 * level))


# On screen

REMARK = "what it is"
"""Heading of the column of remarks."""


def screen_table(
    *groups: States,
    remarks: Mapping[str, Sequence[str]] | None = None,
    requested: Sequence[str] = (),
) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of a table of states to read.

    ``remarks`` gives, by multiplicity, a last cell for every state; ``requested`` names properties
    to show that are shown only on request. Values that are unknown or zero by symmetry are dashes.
    """
    shown = {
        name: how
        for name, how in PROPERTIES.items()
        if how.heading and (not how.on_request or name in requested)
    }
    headings = ["state"]
    for name, how in shown.items():
        headings += [how.heading] + (["λ (nm)"] if name == "energies" else [])
    rows = []
    for states in groups:
        for k, label in enumerate(states.labels):
            row = [label]
            for name, how in shown.items():
                known = how.concerns(states.multiplicity)
                row.append(cell(getattr(states, name)[k], how.digits) if known else "–")
                if name == "energies":
                    row.append(cell(states.wavelengths[k], 0))
            if remarks:
                row.append(remarks[states.multiplicity][k])
            rows.append(row)
    return headings + ([REMARK] if remarks else []), rows


def told_properties(multiplicity: Multiplicity, extras: Collection[str]) -> dict[str, Property]:
    """Return the properties of states of ``multiplicity`` by name.

    Those that are zero by symmetry are left out, and optional ones that ``extras`` does not name.
    """
    return {
        name: how
        for name, how in PROPERTIES.items()
        if how.concerns(multiplicity) and (not how.optional or name in extras)
    }


def cell(value: float, digits: int) -> str:
    """Format ``value`` with ``digits`` decimals, or as a dash if it is nan."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def three_digits(value: float) -> str:
    """Format ``value`` ≥ 0 with three significant digits, or as ``<0.001``."""
    if value < 1e-3:
        return "<0.001"
    return f"{value:.3g}" if value < 1e3 else f"{float(f'{value:.3g}'):.0f}"


def html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in HTML for a notebook."""
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
