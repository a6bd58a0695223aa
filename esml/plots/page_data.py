"""Data of the HTML page, JSON-serializable.

The page contains no surfaces and no grids. It contains the orbitals, as coefficients of the
functions in ``esml.analysis.orbital_shapes``, and evaluates them in the browser: a hundred orbitals
of a dye take fifty kilobytes. Coefficients are rounded to 1/32767 of the largest one in their
orbital.

Vectors and atoms are in the frame of the molecule: x along its length, y along its width, z through
it. Lengths in Å, exponents in 1/bohr², energies in eV.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray
from scipy.special import ndtri

from esml.analysis.absorption import SHORTEST
from esml.analysis.characters import Character, NaturalOrbitals, Wavefunctions
from esml.analysis.colour import VISIBLE
from esml.analysis.dichroism import ROTATORY_PER_AREA
from esml.analysis.orbital_shapes import Shapes, contraction
from esml.analysis.spectrum import STRENGTH_PER_AREA, WAVENUMBERS
from esml.analysis.spectrum_axes import CURVE_COLOUR, DYES, STICK_COLOUR
from esml.io.structure_checks import molecular_charge
from esml.plots.figures import levels
from esml.plots.page_drawing import colour_of
from esml.plots.style import ENCLOSED, NEGATIVE, POSITIVE, atom_colour
from esml.units import BOHR, HC

if TYPE_CHECKING:
    from esml.analysis.vibronic import VibronicSpectrum
    from esml.results import Result, States

Array = NDArray[np.float64]

FRONTIER = 8
"""Number of occupied, and of virtual, orbitals that can be shown, as in the energy diagram."""

MOST_STATES = 20
"""Number of singlets, and of triplets, whose orbitals and densities can be shown."""

LEAST_PAIR = 0.05
"""Pairs of canonical orbitals with this weight or more are named."""

COVERED, MOST_PAIRS = 0.98, 4
"""Pairs of natural transition orbitals are kept until their weights sum to the first number, but at
most as many as the second."""

BRIGHT = 0.05
"""Least oscillator strength of the opening state in the visible or above 200 nm."""

DRAWS = 256
"""Number of sets of energies from which the band of uncertainty is computed."""

LARGEST = 32767
"""Largest of the integers to which coefficients are rounded."""

DIGITS = 6
"""Decimals of numbers that the page rounds again for display; enough to avoid rounding twice."""


def opening_state(states: States) -> int | None:
    """Return the index of the state that the page opens on; None without states.

    It is the brightest state that absorbs visible light, with an oscillator strength of at least
    ``BRIGHT``; else the brightest such state above 200 nm, where plots begin; else the brightest
    above 180 nm, below which hardly any spectrometer measures; else the lowest.
    """
    if not len(states):
        return None
    nanometres, strengths = states.wavelengths, np.nan_to_num(states.oscillator_strengths)
    for among in (
        (nanometres >= VISIBLE[0]) & (strengths >= BRIGHT),
        (nanometres >= DYES[0]) & (strengths >= BRIGHT),
        (nanometres >= SHORTEST) & (strengths > 0.0),
    ):
        if among.any():
            return int(np.where(among, strengths, -1.0).argmax())
    return 0


def shortest_shown(states: States) -> float:
    """Return where the spectrum begins: 200 nm, or less to show the opening state."""
    opening = opening_state(states)
    nanometres = DYES[0] if opening is None else float(states.wavelengths[opening])
    return DYES[0] if nanometres >= DYES[0] else min(SHORTEST, 0.9 * nanometres)


def orbital_name(orbital: int, n_occupied: int) -> str:
    """Return the name of an orbital, by its index: ``HOMO−1``, ``LUMO`` and so on."""
    if orbital < n_occupied:
        below = n_occupied - 1 - orbital
        return f"HOMO−{below}" if below else "HOMO"
    above = orbital - n_occupied
    return f"LUMO+{above}" if above else "LUMO"


def orbital_pairs(states: Wavefunctions, state: int) -> list[tuple[str, float]]:
    """Return the main orbital pairs i → a of ``state`` (from 0), by falling weight.

    The weight is (X + Y)²_ia / |X + Y|²; pairs with at least ``LEAST_PAIR``, or only the first.
    """
    amplitudes = states.X[state] + states.Y[state]
    weights = np.square(amplitudes) / np.square(amplitudes).sum()
    found: list[tuple[str, float]] = []
    for place in np.argsort(-weights, axis=None, kind="stable"):
        i, a = np.unravel_index(place, weights.shape)
        if found and weights[i, a] < LEAST_PAIR:
            break
        names = (orbital_name(int(k), states.n_occupied) for k in (i, states.n_occupied + a))
        found.append((" → ".join(names), float(weights[i, a])))
    return found


@dataclass
class Vectors:
    """Orbitals of the page: rows of integers, each row with its scale."""

    result: Result
    axes: Array  # (3, 3) axes of the molecule in rows
    scales: list[float] = field(default_factory=list)
    rows: list[NDArray[np.int16]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._orthogonalizer = Shapes(self.result.atoms).orthogonalizer
        first = np.cumsum([0] + [1 if z == 1 else 4 for z in self.result.atoms.numbers])
        self._vectors = [k + 1 for k in first[:-1][self.result.atoms.numbers != 1]]

    def add(self, orbital: Array) -> int:
        """Add ``orbital`` (n,) of the model's basis and return its index."""
        values = self._orthogonalizer @ orbital
        for k in self._vectors:  # px, py, pz
            values[k : k + 3] = self.axes @ values[k : k + 3]
        largest = float(np.abs(values).max())
        self.scales.append(largest / LARGEST)
        self.rows.append(np.round(values * (LARGEST / largest)).astype("<i2"))
        return len(self.rows) - 1

    def packed(self) -> dict[str, Any]:
        rows = np.stack(self.rows) if self.rows else np.zeros((0, 0), "<i2")
        return {"scales": self.scales, "length": rows.shape[1], "values": packed(rows)}


def packed(values: NDArray[Any]) -> str:
    """Encode little-endian numbers in base64."""
    return base64.b64encode(values.tobytes()).decode("ascii")


def frame(result: Result) -> tuple[Array, Array]:
    """Return centre and axes (3, 3) of the molecule; rows are length, width and thickness."""
    centre = result.atoms.positions.mean(0)
    axes = np.linalg.svd(result.atoms.positions - centre, full_matrices=True)[2]
    axes[2] = np.cross(axes[0], axes[1])
    return centre, axes


def page_data(
    result: Result,
    singlets: Sequence[Character],
    triplets: Sequence[Character],
    fwhm: float,
    vibronic: VibronicSpectrum | None = None,
    dichroism: bool = False,
) -> dict[str, Any]:
    """Return all data for the scripts of the page.

    ``singlets`` and ``triplets`` are the characters of the states, with the fragment names to show
    on the page. A ``vibronic`` spectrum is drawn in place of lines of width ``fwhm``, and
    with ``dichroism`` there are rotatory strengths.
    """
    centre, axes = frame(result)
    vectors = Vectors(result, axes)
    orbitals = _orbitals(result, vectors)
    states = [
        *_states(result, "singlet", singlets, vectors, dichroism),
        *_states(result, "triplet", triplets, vectors, dichroism),
    ]
    opening = opening_state(result.singlets)
    more = _vibronic_curve(vibronic) | (_rotatory(result) if dichroism else {})
    return {
        "formula": result.atoms.get_chemical_formula(),
        "atoms": _atoms(result, centre, axes),
        "bonds": [list(bond) for bond in result.bonding.bonds],
        "xyz": _xyz(result),
        "basis": _basis(result),
        "bohr": BOHR,
        "vectors": vectors.packed(),
        "orbitals": orbitals,
        "states": states,
        "fragments": _fragments(result, [*singlets, *triplets]),
        "spectrum": spectrum_data(result, fwhm) | more,
        "levels": _levels(result),
        "colours": {
            "positive": POSITIVE,
            "negative": NEGATIVE,
            "curve": CURVE_COLOUR,
            "stick": STICK_COLOUR,
        },
        "enclosed": ENCLOSED,
        "start": "HOMO" if opening is None else f"S{opening + 1}",
    }


def _atoms(result: Result, centre: Array, axes: Array) -> list[dict[str, Any]]:
    places = (result.atoms.positions - centre) @ axes.T
    found = []
    for number, place, charge in zip(result.atoms.numbers, places, result.charges, strict=True):
        red, green, blue = (round(255 * float(part)) for part in atom_colour(number))
        found.append(
            {
                "element": chemical_symbols[number],
                "place": place.round(4).tolist(),
                "charge": round(float(charge), DIGITS),
                "colour": f"#{red:02x}{green:02x}{blue:02x}",
                "radius": round(0.42 * float(covalent_radii[number]), 3),
            }
        )
    return found


def _xyz(result: Result) -> str:
    formula = result.atoms.get_chemical_formula()
    lines = [str(len(result.atoms)), f"{formula} charge={molecular_charge(result.atoms)}"]
    for symbol, (x, y, z) in zip(result.atoms.symbols, result.atoms.positions, strict=True):
        lines.append(f"{symbol:<2} {x:14.8f} {y:14.8f} {z:14.8f}")
    return "\n".join(lines) + "\n"


def _basis(result: Result) -> dict[str, Any]:
    """Exponents and coefficients of s and p, norms included, by element."""
    found = {}
    for number in sorted(set(result.atoms.numbers.tolist())):
        zeta, s, p = contraction(number)
        norm = (2.0 * zeta / np.pi) ** 0.75
        found[chemical_symbols[number]] = {
            "exponents": zeta.tolist(),
            "s": (s * norm).tolist(),
            "p": (p * norm * 2.0 * np.sqrt(zeta)).tolist() if len(p) else [],
        }
    return found


def _orbitals(result: Result, vectors: Vectors) -> list[dict[str, Any]]:
    """Frontier orbitals, from the lowest up."""
    assert result.coefficients is not None  # checked when characters were computed
    n = result.n_occupied
    found = []
    for k in range(max(0, n - FRONTIER), min(len(result.orbital_energies), n + FRONTIER)):
        found.append(
            {
                "name": orbital_name(k, n),
                "energy": round(float(result.orbital_energies[k]), DIGITS),
                "vector": vectors.add(result.coefficients[:, k]),
            }
        )
    return found


def _states(
    result: Result,
    multiplicity: Any,
    characters: Sequence[Character],
    vectors: Vectors,
    dichroism: bool,
) -> list[dict[str, Any]]:
    states = result.states(multiplicity)
    waves = result.wavefunctions(multiplicity)
    extras = [*(["rotatory_strengths"] if dichroism else []), *states.extras]
    found = []
    for k, character in enumerate(characters):
        energy, error = float(states.energies[k]), float(states.uncertainties[k])
        wavelength = float(states.wavelengths[k])
        strength = float(states.oscillator_strengths[k]) if multiplicity == "singlet" else None
        member = np.zeros((len(character.fragments), len(result.atoms)))
        for row, fragment in enumerate(result.bonding.fragments):
            member[row, list(fragment.atoms)] = 1.0
        entry = {
            "label": states.labels[k],
            "energy": round(energy, DIGITS),
            "uncertainty": round(error, 3) if np.isfinite(error) else None,
            "nanometres": round(wavelength, DIGITS) if np.isfinite(wavelength) else None,
            "strength": None if strength is None else round(strength, DIGITS),
            "extras": {
                states.told[name].column: round(float(getattr(states, name)[k]), DIGITS)
                for name in extras
                if name in states.told
            },
            "description": character.description,
            "pairs": [[name, round(weight, 3)] for name, weight in orbital_pairs(waves, k)],
            "hole": (member @ character.hole).round(3).tolist(),
            "electron": (member @ character.electron).round(3).tolist(),
        }
        if k < MOST_STATES:
            entry["natural"] = _natural(waves.natural_orbitals(k), waves, k, vectors)
        found.append(entry)
    return found


def _natural(
    natural: NaturalOrbitals, waves: Wavefunctions, state: int, vectors: Vectors
) -> dict[str, Any]:
    """Leading pairs, with signed ``amplitudes`` a_k so that D = Σ a_k |h_k⟩⟨e_k|."""
    enough = int(np.searchsorted(np.cumsum(natural.weights), COVERED)) + 1
    kept = range(min(enough, MOST_PAIRS, len(natural.weights)))
    density = waves.transition_density(state)
    amplitudes = [natural.holes[:, k] @ density @ natural.electrons[:, k] for k in kept]
    return {
        "weights": natural.weights[list(kept)].round(4).tolist(),
        "amplitudes": [round(float(value), 4) for value in amplitudes],
        "holes": [vectors.add(natural.holes[:, k]) for k in kept],
        "electrons": [vectors.add(natural.electrons[:, k]) for k in kept],
    }


def _fragments(result: Result, characters: Sequence[Character]) -> list[dict[str, Any]]:
    found = result.bonding.fragments
    names = characters[0].fragments if characters else [part.name for part in found]
    return [
        {
            "name": name,
            "atoms": [a + 1 for a in part.atoms],
            "colour": colour_of(k),
        }
        for k, (name, part) in enumerate(zip(names, found, strict=True))
    ]


def spectrum_data(result: Result, fwhm: float) -> dict[str, Any]:
    """Return the data of ``page_spectrum.js``: states, and random energies for the band."""
    states = result.singlets
    found: dict[str, Any] = {
        "labels": states.labels,
        "energies": states.energies.round(DIGITS).tolist(),
        "strengths": states.oscillator_strengths.round(DIGITS).tolist(),
        "shortest": shortest_shown(states),
        "fwhm": fwhm,
        "hc": HC,
        "area": STRENGTH_PER_AREA * WAVENUMBERS,
    }
    if len(states) and np.isfinite(states.uncertainties).all():
        from scipy.stats.qmc import LatinHypercube

        # The same draws as in esml.analysis.spectrum.uncertainty_band.
        sample = ndtri(LatinHypercube(len(states), rng=0).random(DRAWS)) * states.uncertainties
        found["draws"] = packed(np.round(1e3 * sample).clip(-LARGEST, LARGEST).astype("<i2"))
    return found


def _vibronic_curve(vibronic: VibronicSpectrum | None) -> dict[str, Any]:
    """The curve on equidistant energies, and its sticks; empty without one.

    It has no band of uncertainty, and lines of its own width.
    """
    if vibronic is None:
        return {}
    low, high = vibronic.energies[[0, -1]].tolist()
    grid = np.linspace(low, high, len(vibronic.energies))
    values = np.interp(grid, vibronic.energies, vibronic.absorption)
    return {
        "curve": {
            "low": low,
            "high": high,
            "origin": min(band.zero_zero for band in vibronic.transitions),
            "values": packed(values.astype("<f4")),
        },
        "strengths": vibronic.stick_strengths.round(DIGITS).tolist(),
        "draws": None,
    }


def _rotatory(result: Result) -> dict[str, Any]:
    return {
        "rotatory": result.singlets.rotatory_strengths.round(DIGITS).tolist(),
        "rotatory_area": ROTATORY_PER_AREA,
    }


def _levels(result: Result) -> list[dict[str, Any]]:
    lines = []
    for level in levels(result, FRONTIER):
        n = len(level.orbitals)
        for place, orbital in enumerate(level.orbitals):
            lines.append(
                {
                    "name": orbital_name(orbital, result.n_occupied),
                    "energy": round(float(result.orbital_energies[orbital]), DIGITS),
                    "offset": place - 0.5 * (n - 1),
                    "occupied": level.occupied,
                    "set": n,
                }
            )
    return lines
