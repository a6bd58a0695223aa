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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from esml.analysis.bonding import analyze
from esml.analysis.characters import Character
from esml.analysis.orbital_shapes import STATEMENT, Shapes, isovalue, surface
from esml.analysis.spectrum import CURVE_COLOUR, STICK_COLOUR, uncertainty_band, wavelength_ticks
from esml.io.files import write_whole
from esml.plots.figures import NEGATIVE, POSITIVE, atom_colour, ball, levels, stick
from esml.units import HC

if TYPE_CHECKING:
    from esml.results import Result, States

Array = NDArray[np.float64]

SPACING = 0.25
"""Å between the points surfaces are drawn from: fine enough to look at, and a small file."""

ENCLOSED = 0.7
"""Share of an orbital's density inside its surface."""

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
    return _PAGE.format(
        title=f"{heading} – esml",
        style=_STYLE,
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
        script=_SCRIPT,
    )


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
    for a, b in analyze(atoms, result.coefficients, result.n_occupied).bonds:
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


_STYLE = """
:root { --ink: #1d2733; --soft: #5d6b7a; --line: #dfe4ea; --accent: #1f4e79; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 1.4rem 1.4rem 2rem; color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; background: #fff; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 .5rem; color: var(--accent); }
header { border-bottom: 2px solid var(--accent); padding-bottom: .7rem; margin-bottom: 1rem; }
header p { margin: .2rem 0 0; color: var(--soft); }
dl { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; margin: .6rem 0 0; }
dl div, dt, dd { display: inline; margin: 0; }
dt { color: var(--soft); } dd { font-variant-numeric: tabular-nums; margin-right: 1rem; }
main { display: grid; grid-template-columns: repeat(12, 1fr); gap: 1rem; }
section { border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; min-width: 0; }
.wide { grid-column: span 12; } .big { grid-column: span 8; } .small { grid-column: span 4; }
@media (max-width: 900px) { .big, .small { grid-column: span 12; } }
.plot { width: 100%; height: 360px; } #scene-a, #scene-b { height: 400px; }
#scenes { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; }
#scenes.single { grid-template-columns: 1fr; } #scenes.single #part-b { display: none; }
.caption { text-align: center; color: var(--soft); font-size: .9rem; min-height: 1.3rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th, td { padding: .22rem .55rem; } td { white-space: nowrap; }
td:nth-child(8) { white-space: normal; min-width: 11rem; }
tbody + tbody tr:first-child td { border-top: 1px solid var(--line); }
tr[data-state] { cursor: pointer; } tr[data-state]:hover { background: #f3f6fa; }
tr.chosen { background: #e4edf7 !important; }
select { font: inherit; padding: .2rem .4rem; margin-left: .5rem; }
footer { color: var(--soft); font-size: .86rem; margin-top: 1rem; }
"""

_SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const config = {responsive: true, displaylogo: false, displayModeBar: false};
const ink = "#1d2733";
const font = {family: 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif', size: 12, color: ink};
const light = {ambient: 0.55, diffuse: 0.75, specular: 0.25, roughness: 0.6, fresnel: 0.1,
  facenormalsepsilon: 0, vertexnormalsepsilon: 0};
const hidden = {visible: false, showspikes: false};
const layout3d = {
  margin: {l: 0, r: 0, t: 0, b: 0}, showlegend: false, uirevision: "keep", font,
  scene: {xaxis: {...hidden, range: data.scene.ranges[0]},
    yaxis: {...hidden, range: data.scene.ranges[1]},
    zaxis: {...hidden, range: data.scene.ranges[2]},
    aspectmode: "manual", aspectratio: data.scene.aspect, dragmode: "orbit",
    camera: {eye: {x: 0, y: -0.75, z: 1.05}, up: {x: 0, y: 1, z: 0},
      projection: {type: "orthographic"}}},
};
const molecule = [
  {type: "mesh3d", ...data.scene.mesh, facecolor: data.scene.colours, hoverinfo: "skip",
    flatshading: false, lighting: light},
  {type: "scatter3d", mode: "markers", ...data.scene.atoms, text: data.scene.texts,
    hoverinfo: "text", marker: {size: 9, opacity: 0.01, color: "#ffffff"}},
];
function lobes(key) {
  return data.surfaces[key].signs.map((mesh, k) => ({type: "mesh3d", ...mesh, opacity: 0.62,
    color: data.colours[k], hoverinfo: "skip", flatshading: false, lighting: light}));
}
function draw(place, key) {
  const traces = key ? molecule.concat(lobes(key)) : molecule;
  Plotly.react("scene-" + place, traces, structuredClone(layout3d), config);
  document.getElementById("caption-" + place).textContent = key ? data.surfaces[key].text : "";
}
const choice = document.getElementById("choice"), pair = document.getElementById("pair");
function show(key, number = 1) {
  const state = data.surfaces[key + "-hole-1"] !== undefined;
  if (!state && data.surfaces[key] === undefined) { return; }
  choice.value = key;
  document.getElementById("scenes").classList.toggle("single", !state);
  if (state) {
    pair.hidden = data.surfaces[key + "-hole-2"] === undefined;
    pair.value = String(number);
    draw("a", key + "-hole-" + number);
    draw("b", key + "-electron-" + number);
  } else {
    pair.hidden = true;
    draw("a", key);
  }
  for (const part of state ? ["a", "b"] : ["a"]) { Plotly.Plots.resize("scene-" + part); }
  for (const row of document.querySelectorAll("tr[data-state]")) {
    row.classList.toggle("chosen", row.dataset.state === key);
  }
}
choice.addEventListener("change", () => show(choice.value));
pair.addEventListener("change", () => show(choice.value, Number(pair.value)));
for (const row of document.querySelectorAll("tr[data-state]")) {
  row.addEventListener("click", () => show(row.dataset.state));
  row.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { show(row.dataset.state); }
  });
}

const s = data.spectrum;
if (s.energies) {
  const traces = [];
  if (s.band) {
    traces.push({x: s.energies, y: s.band[0], mode: "lines", line: {width: 0}, hoverinfo: "skip"});
    traces.push({x: s.energies, y: s.band[1], mode: "lines", line: {width: 0}, hoverinfo: "skip",
      fill: "tonexty", fillcolor: "rgba(31,78,121,0.16)"});
  }
  traces.push({x: s.energies, y: s.absorption, mode: "lines", hoverinfo: "skip",
    line: {color: s.colours[0], width: 2}});
  traces.push({x: s.sticks, y: s.strengths, yaxis: "y2", type: "bar", width: 0.02,
    marker: {color: s.colours[1]}, hoverinfo: "skip"});
  traces.push({x: s.sticks, y: s.strengths, yaxis: "y2", mode: "markers", hoverinfo: "text",
    text: s.texts, marker: {color: s.colours[1], size: 6}});
  traces.push({x: [s.energies[0]], y: [0], xaxis: "x2", mode: "markers", hoverinfo: "skip",
    marker: {opacity: 0}});
  const range = [s.energies[0], s.energies[s.energies.length - 1]];
  const frame = {showline: true, linecolor: "#333", ticks: "inside", showgrid: false,
    zeroline: false};
  Plotly.newPlot("spectrum", traces, {
    margin: {l: 62, r: 62, t: 48, b: 48}, showlegend: false, font, hovermode: "closest",
    barmode: "overlay",
    xaxis: {...frame, title: {text: "Energy (eV)"}, range},
    xaxis2: {...frame, title: {text: "Wavelength (nm)"}, range, overlaying: "x", side: "top",
      matches: "x", tickvals: s.ticks, ticktext: s.nanometres},
    yaxis: {...frame, title: {text: "ε (10³ L mol⁻¹ cm⁻¹)"}, rangemode: "tozero"},
    yaxis2: {...frame, title: {text: "Oscillator strength"}, overlaying: "y", side: "right",
      tickmode: "auto", nticks: 7, color: s.colours[1],
      range: [0, 1.08 * Math.max(0.001, ...s.strengths)]},
  }, config);
  document.getElementById("spectrum").on("plotly_click", (event) => {
    if (event.points.length) { show("S" + (event.points[0].pointNumber + 1)); }
  });
}

const lines = [];
for (const occupied of [true, false]) {
  const x = [], y = [];
  for (const level of data.levels.filter((each) => each.occupied === occupied)) {
    x.push(level.x - 0.26, level.x + 0.26, null);
    y.push(level.energy, level.energy, null);
  }
  lines.push({x, y, mode: "lines", hoverinfo: "skip",
    line: {width: 3, color: occupied ? "#1f4e79" : "#9aa5b1"}});
}
lines.push({x: data.levels.map((level) => level.x), y: data.levels.map((level) => level.energy),
  mode: "text", hoverinfo: "text", text: data.levels.map((level) => level.occupied ? "↑↓" : " "),
  textfont: {size: 12, color: ink},
  hovertext: data.levels.map((level) => level.label + "<br>" + level.energy.toFixed(2) + " eV"
    + (level.set > 1 ? "<br>one of " + level.set + " of this energy" : ""))});
const frontier = data.levels.filter((level) => level.label === "HOMO" || level.label === "LUMO");
Plotly.newPlot("levels", lines, {
  margin: {l: 58, r: 10, t: 10, b: 20}, showlegend: false, font, hovermode: "closest",
  xaxis: {visible: false, range: [-1.3, 2.1]},
  yaxis: {title: {text: "Orbital energy (eV)"}, showline: true, linecolor: "#333",
    ticks: "inside", showgrid: false, zeroline: false},
  annotations: frontier.map((level) => ({x: 1.0, y: level.energy, xanchor: "left",
    showarrow: false, text: level.label + " " + level.energy.toFixed(2)})),
}, config);
document.getElementById("levels").on("plotly_click", (event) => {
  if (event.points.length) { show(data.levels[event.points[0].pointNumber].label); }
});
show(data.start);
document.body.dataset.ready = "yes";
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{heading}</h1>
<p>{formula}, point group {group}</p>
{notes}
<dl>{facts}</dl>
</header>
<main>
<section class="wide">
<h2>Orbitals
<select id="choice" aria-label="orbital or state">{choices}</select>
<select id="pair" aria-label="orbital pair" hidden>
<option value="1">first pair</option><option value="2">second pair</option>
</select>
</h2>
<div id="scenes">
<div id="part-a"><div class="plot" id="scene-a"></div>
<div class="caption" id="caption-a"></div></div>
<div id="part-b"><div class="plot" id="scene-b"></div>
<div class="caption" id="caption-b"></div></div>
</div>
</section>
<section class="wide table">
<h2>Excited states</h2>
<table>
<thead><tr><th>state</th><th>E (eV)</th><th>± (eV)</th><th>λ (nm)</th><th>f</th><th>character</th>
<th>symmetry</th><th>where</th><th title="participation ratio">pairs</th>
<th title="charge-transfer number">CT</th>
<th title="root mean square distance of electron and hole">d (Å)</th></tr></thead>
{states}
</table>
</section>
<section class="big">
<h2>Absorption spectrum, lines of {fwhm} eV</h2>
<div class="plot" id="spectrum"></div>
</section>
<section class="small">
<h2>Orbital energies</h2>
<div class="plot" id="levels"></div>
</section>
</main>
<footer>
<p>Click a state, a stick or a level to see its orbitals; turn the molecule with the mouse. Singlets
(S) from linear response, triplets (T) in the Tamm–Dancoff approximation; ± is one standard
deviation and the band around the curve what it makes of the spectrum. <i>pairs</i>: pairs of
natural transition orbitals that take part; <i>CT</i>: probability of electron and hole on different
fragments; <i>d</i>: root mean square distance between the two.</p>
<p>Surfaces: {statement}; each encloses 70 % of its density. Valence states in vacuum, for closed
shells of H, C, N, O, F, S and Cl; Rydberg states are outside the model. Made by esml.</p>
</footer>
<script type="application/json" id="data">{data}</script>
<script>{plotly}</script>
<script>{script}</script>
</body>
</html>
"""
