"""One molecule as a page: everything esml knows of it in a single HTML file.

The file carries plotly.js and all data, so that it opens without a network and can be sent around.
It shows the molecule in space with orbitals and natural transition orbitals as surfaces, the table
of states, the spectrum and the orbital energies. Texts from outside, such as names, are escaped.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from esml.analysis.characters import Character
from esml.analysis.orbital_shapes import STATEMENT, Shapes, isovalue, surface
from esml.analysis.spectrum import uncertainty_band
from esml.analysis.spectrum_axes import CURVE_COLOUR, STICK_COLOUR, wavelength_ticks
from esml.io.files import write_whole
from esml.plots.bodies import ball, stick
from esml.plots.figures import levels
from esml.plots.style import ENCLOSED, NEGATIVE, POSITIVE, atom_colour
from esml.units import HC

if TYPE_CHECKING:
    from esml.results import Result, States

Array = NDArray[np.float64]

SPACING = 0.25
"""Å between the points surfaces are drawn from: fine enough to look at, and a small file."""

ROOM = 1.6
"""Å around the molecule that lobes may need."""

WIDTH, HEIGHT = 3.0, 2.15
"""What fits into the viewer, in its own units of length."""

FRONTIER = 3
"""Occupied, and virtual, orbitals shown."""

MOST_SINGLETS, MOST_TRIPLETS = 10, 3
"""States whose natural transition orbitals are shown."""

SECOND_PAIR = 0.2
"""Weight from which the second pair is shown beside the first."""


def write_page(
    result: Result,
    path: str | Path,
    name: str = "",
    fwhm: float = 0.3,
    notes: Sequence[str] = (),
) -> None:
    """Write the page of ``result`` to ``path``, under the heading ``name``.

    ``notes`` are sentences to show below it, such as where the geometry is from. Needs plotly and
    scikit-image (ImportError); raises MissingWavefunctionsError for a result without orbitals and
    OSError where the disk refuses.
    """
    write_whole(Path(path), page(result, name, fwhm, notes).encode("utf-8"))


def page(result: Result, name: str = "", fwhm: float = 0.3, notes: Sequence[str] = ()) -> str:
    """The text of ``write_page``."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError('a report needs plotly: pip install "esml[report]"') from error
    singlets, triplets = result.characters("singlets"), result.characters("triplets")
    surfaces = _surfaces(result)
    data = {
        "scene": _scene(result),
        "surfaces": surfaces,
        "spectrum": _spectrum(result, singlets, fwhm),
        "levels": _levels(result),
        "colours": [POSITIVE, NEGATIVE],
        "start": "S1" if len(result.singlets) else "HOMO",
    }
    # JSON may hold what ends a script element.
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    formula = result.atoms.get_chemical_formula()
    heading = escape(name or formula)
    lines = [f"<p>{escape(note)}</p>" for note in notes]
    return _part("page.html").format(
        title=f"{heading} – esml",
        style=_part("page.css"),
        heading=heading,
        formula=_subscripts(formula),
        notes="\n".join(lines),
        facts=_facts(result),
        group=escape(_group(singlets)),
        choices=_choices(surfaces, result),
        states=_table("S", result.singlets, singlets) + _table("T", result.triplets, triplets),
        fwhm=f"{fwhm:g}",
        statement=escape(STATEMENT),
        plotly=get_plotlyjs(),
        data=text,
        script=_part("page.js"),
    )


def _part(name: str) -> str:
    """The text of a file of the page's template."""
    return (files("esml.plots") / name).read_text(encoding="utf-8")


def _subscripts(formula: str) -> str:
    return "".join(f"<sub>{c}</sub>" if c.isdigit() else escape(c) for c in formula)


def _group(characters: Sequence[Character]) -> str:
    return characters[0].symmetry.group if characters else "–"


def _facts(result: Result) -> str:
    rows = (
        ("HOMO", f"{result.homo:.2f} eV"),
        ("LUMO", f"{result.lumo:.2f} eV"),
        ("gap", f"{result.gap:.2f} eV"),
        ("dipole moment", f"{np.linalg.norm(result.dipole):.2f} debye"),
    )
    return "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)


def _table(letter: str, states: States, characters: Sequence[Character]) -> str:
    rows = []
    for k, (energy, character) in enumerate(zip(states.energies, characters, strict=True)):
        uncertainty = states.uncertainties[k]
        cells = [
            f"{letter}{k + 1}",
            f"{energy:.2f}",
            f"{uncertainty:.2f}" if np.isfinite(uncertainty) else "–",
            f"{HC / energy:.0f}",
            f"{states.oscillator_strengths[k]:.3f}" if letter == "S" else "–",
            character.label,
            character.symmetry.text or "–",
            _where(character),
            f"{character.participation:.1f}",
            f"{character.charge_transfer:.2f}" if len(character.fragments) > 1 else "–",
            f"{character.separation:.1f}",
        ]
        inner = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        shown = k < (MOST_SINGLETS if letter == "S" else MOST_TRIPLETS)
        chooses = f' data-state="{letter}{k + 1}" tabindex="0"' if shown else ""
        rows.append(f"<tr{chooses}>{inner}</tr>")
    return f"<tbody>{''.join(rows)}</tbody>"


def _where(character: Character) -> str:
    if len(character.fragments) == 1:
        return "–"
    return f"CT: {character.where}" if character.kind == "charge transfer" else character.where


def _frame(result: Result) -> tuple[Array, Array]:
    """Centre, and axes (3, 3) in rows: length, width and thickness of the molecule."""
    centre = result.atoms.positions.mean(0)
    axes = np.linalg.svd(result.atoms.positions - centre, full_matrices=True)[2]
    axes[2] = np.cross(axes[0], axes[1])
    return centre, axes


def _scene(result: Result) -> dict[str, Any]:
    """The molecule: one mesh of balls and sticks with colours, and what to say of each atom."""
    assert result.coefficients is not None  # characters were asked for before
    atoms = result.atoms
    centre, axes = _frame(result)
    places = (atoms.positions - centre) @ axes.T
    bodies: list[tuple[Array, Array]] = []
    for number, place in zip(atoms.numbers, places, strict=True):
        net = ball(8, 12)
        bodies.append((place + 0.42 * float(covalent_radii[number]) * net, atom_colour(number)))
    for a, b in result.bonding.bonds:
        middle = 0.5 * (places[a] + places[b])
        for end in (a, b):
            net = stick(places[end], middle, 8)
            bodies.append((net, atom_colour(atoms.numbers[end])))
    corners, colours = [], []
    for triangles, colour in bodies:
        corners.append(triangles.reshape(-1, 3))
        red, green, blue = (round(255 * float(part)) for part in colour)
        colours += [f"rgb({red},{green},{blue})"] * len(triangles)
    rounded = np.round(np.concatenate(corners), 3).astype(np.float64)
    vertices, inverse = np.unique(rounded, axis=0, return_inverse=True)
    texts = [
        f"{chemical_symbols[number]}{k + 1}<br>charge {charge:+.2f} e"
        for k, (number, charge) in enumerate(zip(atoms.numbers, result.charges, strict=True))
    ]
    low, high = places.min(0) - ROOM, places.max(0) + ROOM
    sides = high - low
    aspect = sides * min(WIDTH / float(sides[0]), HEIGHT / float(sides[1]))
    return {
        "ranges": np.stack([low, high], axis=1).round(3).tolist(),
        "aspect": dict(zip("xyz", aspect.round(4).tolist(), strict=True)),
        "mesh": _mesh(vertices, inverse.reshape(-1, 3)),
        "colours": colours,
        "atoms": {axis: places[:, k].round(4).tolist() for k, axis in enumerate("xyz")},
        "texts": texts,
    }


def _mesh(vertices: Array, triangles: NDArray[np.int64]) -> dict[str, Any]:
    whole: Any = np.uint16 if len(vertices) < 2**16 else np.uint32
    coordinates = {axis: _packed(vertices[:, k].astype("<f4")) for k, axis in enumerate("xyz")}
    corners = {corner: _packed(triangles[:, k].astype(whole)) for k, corner in enumerate("ijk")}
    return coordinates | corners


def _packed(values: NDArray[Any]) -> dict[str, str]:
    """An array as plotly.js reads it from base64."""
    dtype = f"{values.dtype.kind}{values.dtype.itemsize}"
    return {"dtype": dtype, "bdata": base64.b64encode(values.tobytes()).decode("ascii")}


def _orbitals(result: Result) -> Iterator[tuple[str, str, Array]]:
    """Key, description and coefficients (n,) of every orbital to show."""
    assert result.coefficients is not None
    n = result.n_occupied
    for k in range(max(0, n - FRONTIER), min(len(result.coefficients), n + FRONTIER)):
        below, above = n - 1 - k, k - n
        label = "HOMO" + (f"−{below}" if below else "")
        if above >= 0:
            label = "LUMO" + (f"+{above}" if above else "")
        yield label, f"{label}, {result.orbital_energies[k]:.2f} eV", result.coefficients[:, k]
    for kind, most in (("singlets", MOST_SINGLETS), ("triplets", MOST_TRIPLETS)):
        states = result.wavefunctions("singlets" if kind == "singlets" else "triplets")
        for state in range(min(most, len(states))):
            natural = states.natural_orbitals(state)
            label = f"{kind[0].upper()}{state + 1}"
            pairs = 2 if len(natural.weights) > 1 and natural.weights[1] >= SECOND_PAIR else 1
            for pair in range(pairs):
                for part, orbitals in (("hole", natural.holes), ("electron", natural.electrons)):
                    key = f"{label}-{part}-{pair + 1}"
                    text = f"{label} {part}, weight {natural.weights[pair]:.2f}"
                    yield key, text, orbitals[:, pair]


def _surfaces(result: Result) -> dict[str, Any]:
    """Both signs of every orbital as meshes, in the frame of the molecule."""
    centre, axes = _frame(result)
    shapes = Shapes(result.atoms)
    grid = shapes.grid(SPACING)
    found: dict[str, Any] = {}
    for key, text, orbital in _orbitals(result):
        values = shapes.values(orbital[:, None], grid)[0]
        level = isovalue(values, ENCLOSED)
        signs = []
        for sign in (level, -level):
            vertices, triangles = surface(values, grid, sign)
            signs.append(_mesh((vertices - centre) @ axes.T, triangles))
        found[key] = {"text": text, "signs": signs}
    return found


def _choices(surfaces: Mapping[str, Any], result: Result) -> str:
    """Options of the menu: frontier orbitals, and a group for each state."""
    frontier = [key for key in surfaces if "-" not in key]
    options = "".join(
        f'<option value="{escape(key)}">{escape(surfaces[key]["text"])}</option>'
        for key in frontier
    )
    groups = f'<optgroup label="Orbitals">{options}</optgroup>'
    labels = dict.fromkeys(key.split("-")[0] for key in surfaces if "-" in key)
    states = "".join(
        f'<option value="{label}">{label}, {_energy(result, label):.2f} eV</option>'
        for label in labels
    )
    return f'<optgroup label="Natural transition orbitals">{states}</optgroup>{groups}'


def _energy(result: Result, label: str) -> float:
    states = result.singlets if label[0] == "S" else result.triplets
    return float(states.energies[int(label[1:]) - 1])


def _spectrum(result: Result, characters: Sequence[Character], fwhm: float) -> dict[str, Any]:
    if not len(result.singlets):
        return {}
    curve = result.spectrum(fwhm=fwhm)
    singlets = result.singlets
    band = uncertainty_band(
        singlets.energies, singlets.oscillator_strengths, singlets.uncertainties, curve
    )
    ticks = wavelength_ticks(float(curve.energies[0]), float(curve.energies[-1]))
    return {
        "energies": curve.energies.round(4).tolist(),
        "absorption": (curve.absorption / 1e3).round(3).tolist(),
        "band": None if band is None else [(edge / 1e3).round(3).tolist() for edge in band],
        "sticks": singlets.energies.round(4).tolist(),
        "strengths": singlets.oscillator_strengths.round(4).tolist(),
        "texts": [
            f"S{k + 1} {energy:.2f} eV, {HC / energy:.0f} nm<br>f {strength:.3f}<br>"
            + escape(character.description)
            for k, (energy, strength, character) in enumerate(
                zip(singlets.energies, singlets.oscillator_strengths, characters, strict=True)
            )
        ],
        "ticks": [HC / tick for tick in ticks],
        "nanometres": [f"{tick:g}" for tick in ticks],
        "colours": [CURVE_COLOUR, STICK_COLOUR],
    }


def _levels(result: Result) -> list[dict[str, Any]]:
    lines = []
    for level in levels(result):
        n = len(level.orbitals)
        for place, orbital in enumerate(level.orbitals):
            below, above = result.n_occupied - 1 - orbital, orbital - result.n_occupied
            label = f"HOMO−{below}" if below > 0 else "HOMO"
            if above >= 0:
                label = f"LUMO+{above}" if above else "LUMO"
            lines.append(
                {
                    "x": (place - 0.5 * (n - 1)) * 0.6,
                    "energy": round(float(result.orbital_energies[orbital]), 3),
                    "label": label,
                    "occupied": level.occupied,
                    "set": n,
                }
            )
    return lines
