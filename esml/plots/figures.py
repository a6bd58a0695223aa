"""Pictures with matplotlib: spectra, orbital energies, orbitals of a state, parity.

Every function draws into axes or a figure and returns it; nothing is shown or saved. Orbitals in
space are an illustration (``esml.analysis.orbital_shapes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from numpy.typing import ArrayLike, NDArray

from esml.analysis.bonding import analyze
from esml.analysis.characters import MissingWavefunctionsError
from esml.analysis.orbital_shapes import Grid, Shapes, isovalue, surface
from esml.analysis.spectrum import CURVE_COLOUR, Shape, Spectrum, broaden, uncertainty_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from esml.results import Result

Array = NDArray[np.float64]

POSITIVE, NEGATIVE = "#2f6db5", "#e08a2c"
"""Colours of the two signs of an orbital; told apart by any eye."""

ATTACHMENT, DETACHMENT = "#1b8a6b", "#9a3d8f"
"""Colours of the density a state gains and loses."""

SERIES = ("#1f4e79", "#b3402a", "#3b7d3a", "#7a4fa3", "#a97a12", "#28808c")
"""Colours of several molecules in one picture."""

SAME_LEVEL = 0.02
"""eV; orbitals closer than this are drawn side by side."""

TILT = 38.0
"""Degrees a molecule is turned from being seen face on, so that lobes show on both sides."""

LIGHT = np.array([-0.35, 0.5, 0.79])
"""Where the light comes from, from the viewer's side."""

OPACITY = 0.68
"""Of surfaces."""

STICK = 0.11
"""Å, radius of a bond."""

SECTORS = 14
"""Sides of a bond."""

PIXELS = 800
"""Samples along the longer side of a picture; two by two make one point."""

ENCLOSED = 0.7
"""Share of an orbital's density inside the surface drawn."""


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('drawing needs matplotlib: pip install "esml[plot]"') from error
    return plt


def plot_spectrum(
    result: Result, fwhm: float = 0.3, shape: Shape = "gaussian", ax: Axes | None = None
) -> Axes:
    """Sticks, envelope and nm axis of one molecule, with a band where uncertainties are known.

    The band holds 68 % of the curves that uncertain excitation energies allow
    (``spectrum.uncertainty_band``).
    """
    curve = result.spectrum(fwhm=fwhm, shape=shape)
    axes = curve.plot(ax)
    draw_band(axes, result, curve)
    return axes


def draw_band(axes: Axes, result: Result, curve: Spectrum, colour: str = CURVE_COLOUR) -> None:
    """Draw what uncertain energies make of the spectrum ``curve`` of ``result`` into its axes."""
    band = uncertainty_band(
        result.singlets.energies,
        result.singlets.oscillator_strengths,
        result.singlets.uncertainties,
        curve,
    )
    if band is None:
        return
    low, high = (edge / 1e3 for edge in band)
    axes.fill_between(curve.energies, low, high, color=colour, alpha=0.22, linewidth=0, zorder=0)
    top = 1.05e-3 * float(curve.absorption.max())
    axes.set_ylim(0.0, max(axes.get_ylim()[1], 1.05 * float(high.max()), top))


def plot_spectra(
    results: Mapping[str, Result],
    fwhm: float = 0.3,
    shape: Shape = "gaussian",
    ax: Axes | None = None,
) -> Axes:
    """Spectra of several molecules over each other on one grid, named, with uncertainty bands.

    Raises ValueError for no molecule at all.
    """
    if not results:
        raise ValueError("there is no molecule to draw: expected at least one result")
    curves = {name: result.spectrum(fwhm=fwhm, shape=shape) for name, result in results.items()}
    low = min(curve.energies[0] for curve in curves.values())
    high = max(curve.energies[-1] for curve in curves.values())
    grid = np.linspace(low, high, 1 + int(np.ceil(30.0 * (high - low) / fwhm)))
    axes = ax
    for k, (name, result) in enumerate(results.items()):
        singlets = result.singlets
        curve = broaden(
            singlets.energies, singlets.oscillator_strengths, fwhm=fwhm, shape=shape, energies=grid
        )
        colour = SERIES[k % len(SERIES)]
        # A dollar would start mathematics in a label, and a leading underscore hides it.
        axes = curve.plot(axes, sticks=False, color=colour, label=" " + name.replace("$", r"\$"))
        draw_band(axes, result, curve, colour)
    assert axes is not None
    axes.legend(loc="best", fontsize="small", frameon=False)
    return axes


@dataclass(frozen=True)
class Level:
    """Orbitals of one energy."""

    energy: float  # eV, their mean
    orbitals: tuple[int, ...]
    occupied: bool


def levels(result: Result, window: int = 8) -> list[Level]:
    """Frontier orbitals by energy, ``window`` occupied and as many virtual, degenerate together."""
    first = max(0, result.n_occupied - window)
    last = min(len(result.orbital_energies), result.n_occupied + window)
    groups: list[list[int]] = []
    for k in range(first, last):
        energy = result.orbital_energies[k]
        apart = k == result.n_occupied
        if groups and not apart and energy - result.orbital_energies[groups[-1][-1]] < SAME_LEVEL:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [
        Level(
            float(np.mean(result.orbital_energies[group])),
            tuple(group),
            group[0] < result.n_occupied,
        )
        for group in groups
    ]


def plot_levels(result: Result, window: int = 8, ax: Axes | None = None) -> Axes:
    """Orbital-energy diagram: occupations as arrows, degenerate orbitals side by side."""
    if ax is None:
        _, ax = _pyplot().subplots(figsize=(3.4, 4.6), layout="constrained")
    found = levels(result, window)
    low = min(level.energy for level in found)
    high = max(level.energy for level in found)
    height = 0.024 * (high - low + 1.0)
    for level in found:
        n = len(level.orbitals)
        for place in range(n):
            x = (place - 0.5 * (n - 1)) * 0.62
            colour = CURVE_COLOUR if level.occupied else "#8a8a8a"
            ax.hlines(level.energy, x - 0.26, x + 0.26, color=colour, linewidth=2.0)
            for offset, sense in ((-0.08, 1.0), (0.08, -1.0)) if level.occupied else ():
                ax.annotate(
                    "",
                    (x + offset, level.energy + sense * height),
                    (x + offset, level.energy - sense * height),
                    arrowprops={"arrowstyle": "->", "color": "#222222", "linewidth": 0.9},
                )
    widest = max(len(level.orbitals) for level in found)
    right = 0.31 * widest + 0.05
    names = {result.n_occupied - 1: "HOMO", result.n_occupied: "LUMO"}
    for level in found:
        for orbital in level.orbitals:
            if orbital in names:
                text = f"{names[orbital]} {level.energy:.2f}"
                ax.text(right, level.energy, text, va="center", fontsize=8)
    ax.set_xlim(-right, right + 0.95)
    ax.set_ylim(low - 3.0 * height, high + 3.0 * height)
    ax.set_xticks([])
    ax.set_ylabel("Orbital energy (eV)")
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    return ax


def plot_natural_orbitals(
    result: Result,
    state: int,
    kind: Literal["singlets", "triplets"] = "singlets",
    pairs: int = 1,
) -> Figure:
    """Hole and electron of the ``pairs`` leading natural transition orbitals of ``state`` (from 0).

    Surfaces enclose 70 % of each orbital's density. Needs scikit-image.
    """
    states = result.wavefunctions(kind)
    if not 0 <= state < len(states):
        raise IndexError(f"state {state}: expected 0 to {len(states) - 1}")
    natural = states.natural_orbitals(state)
    pairs = min(pairs, len(natural.weights))
    character = result.characters(kind)[state]
    shapes = Shapes(result.atoms)
    grid = shapes.grid(0.2)
    columns = np.hstack([natural.holes[:, :pairs], natural.electrons[:, :pairs]])
    values = shapes.values(columns, grid)
    figure: Figure
    figure, axes = _pyplot().subplots(
        pairs, 2, figsize=(7.0, 2.6 * pairs + 0.3), squeeze=False, layout="constrained"
    )
    for pair in range(pairs):
        for column, name in enumerate(("hole", "electron")):
            field = values[pair + column * pairs]
            level = isovalue(field, ENCLOSED)
            draw_scene(
                axes[pair, column],
                result,
                [(field, grid, level, POSITIVE), (field, grid, -level, NEGATIVE)],
            )
            axes[pair, column].set_title(
                f"{name}, weight {natural.weights[pair]:.2f}", fontsize=9, color="#333333"
            )
    label = f"{kind[0].upper()}{state + 1}  {states.energies[state]:.2f} eV"
    figure.suptitle(f"{label}  {character.description}", fontsize=10)
    return figure


def plot_densities(
    result: Result, state: int, kind: Literal["singlets", "triplets"] = "singlets"
) -> Figure:
    """Detachment (what ``state`` takes from) and attachment density (where it goes).

    Surfaces enclose 70 % of each. Needs scikit-image.
    """
    states = result.wavefunctions(kind)
    if not 0 <= state < len(states):
        raise IndexError(f"state {state}: expected 0 to {len(states) - 1}")
    attachment, detachment = states.attachment_detachment(state)
    shapes = Shapes(result.atoms)
    grid = shapes.grid(0.2)
    figure: Figure
    figure, axes = _pyplot().subplots(1, 2, figsize=(7.0, 3.1), layout="constrained")
    for ax, matrix, colour, name in zip(
        axes,
        (detachment, attachment),
        (DETACHMENT, ATTACHMENT),
        ("detachment", "attachment"),
        strict=True,
    ):
        field = shapes.density(matrix, grid)
        # A density is a square already.
        level = isovalue(np.sqrt(field), ENCLOSED) ** 2
        draw_scene(ax, result, [(field, grid, level, colour)])
        ax.set_title(f"{name}, {np.trace(matrix):.2f} electrons", fontsize=9, color="#333333")
    label = f"{kind[0].upper()}{state + 1}  {states.energies[state]:.2f} eV"
    figure.suptitle(f"{label}  {result.characters(kind)[state].description}", fontsize=10)
    return figure


def plot_parity(
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]], units: Mapping[str, str] | None = None
) -> Figure:
    """Predictions over labels, one panel for each of ``pairs``: name → (labels, predictions).

    Raises ValueError for no pairs at all.
    """
    kept = {name: (np.asarray(x), np.asarray(y)) for name, (x, y) in pairs.items() if np.size(x)}
    if not kept:
        raise ValueError("there is nothing to draw: expected labels and predictions")
    columns = min(3, len(kept))
    rows = -(-len(kept) // columns)
    figure: Figure
    figure, axes = _pyplot().subplots(
        rows, columns, figsize=(3.1 * columns, 3.2 * rows), squeeze=False, layout="constrained"
    )
    for ax, (name, (labels, found)) in zip(axes.flat, kept.items(), strict=False):
        everything = np.concatenate([labels, found])
        low, high = float(everything.min()), float(everything.max())
        margin = 0.04 * (high - low) + 1e-9
        limits = (low - margin, high + margin)
        ax.plot(limits, limits, color="#999999", linewidth=0.8, zorder=0)
        size = float(np.clip(4000.0 / len(labels), 2.0, 22.0))
        ax.scatter(labels, found, s=size, color=CURVE_COLOUR, alpha=0.45, linewidths=0)
        ax.set_xlim(limits)
        ax.set_ylim(limits)
        ax.set_aspect("equal")
        ax.locator_params(nbins=5)
        ax.tick_params(direction="in")
        unit = (units or {}).get(name, "")
        ending = f" ({unit})" if unit else ""
        ax.set_xlabel(f"label{ending}")
        ax.set_ylabel(f"model{ending}")
        ax.set_title(name, fontsize=10)
        error = float(np.abs(found - labels).mean())
        text = f"n = {len(labels)}\nMAE {error:.3f} {unit}".rstrip()
        ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top", fontsize=8)
    for ax in list(axes.flat)[len(kept) :]:
        ax.set_visible(False)
    return figure


# Molecules and surfaces in space


def draw_scene(
    ax: Axes, result: Result, surfaces: Sequence[tuple[Array, Grid, float, str]] = ()
) -> None:
    """Draw the molecule of ``result`` into ``ax``, with surfaces of fields on grids.

    ``surfaces`` are fields, their grids, levels and colours. They are translucent: what lies behind
    the first of them shines through, other surfaces do not.
    """
    from matplotlib.colors import to_rgb

    view = _view(result.atoms)
    centre = result.atoms.positions.mean(0)
    solid = [mesh.seen(centre, view).facing() for mesh in _ball_and_stick(result)]
    lobes = []
    for field, grid, level, name in surfaces:
        vertices, faces = surface(field, grid, level)
        if len(faces):
            normals = _vertex_normals(vertices, faces)
            lobes.append(_Mesh(vertices[faces], normals[faces], np.array(to_rgb(name))))
    lobes = [mesh.seen(centre, view) for mesh in lobes]
    corners = np.concatenate([mesh.corners.reshape(-1, 3) for mesh in (*solid, *lobes)])
    low, high = corners[:, :2].min(0) - 0.3, corners[:, :2].max(0) + 0.3
    depth, colours = _render(solid, low, high)
    front, tints = _render(lobes, low, high)
    picture = np.where(np.isfinite(depth)[..., None], colours, 1.0)
    before = (front > depth)[..., None]
    picture = np.where(before, OPACITY * tints + (1.0 - OPACITY) * picture, picture)
    # Four samples make one point, for smooth edges.
    rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
    picture = picture.reshape(rows, 2, columns, 2, 3).mean((1, 3))
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(picture, extent=extent, origin="lower", interpolation="antialiased")
    ax.set_axis_off()


@dataclass(frozen=True)
class _Mesh:
    """Triangles of one colour with normals at their corners."""

    corners: Array  # (T, 3, 3)
    normals: Array  # (T, 3, 3)
    colour: Array  # (3,)

    def seen(self, centre: Array, view: Array) -> _Mesh:
        """The same from where the viewer stands: x to the right, y up, z towards the viewer."""
        return _Mesh((self.corners - centre) @ view.T, self.normals @ view.T, self.colour)

    def facing(self) -> _Mesh:
        """The triangles of a closed body that the viewer can see."""
        kept = self.normals[..., 2].sum(1) > 0.0
        return _Mesh(self.corners[kept], self.normals[kept], self.colour)

    def shades(self) -> Array:
        """Colours (T, 3, 3) of the corners under a lamp, either side lit."""
        towards = self.normals * np.where(self.normals[..., 2:] < 0.0, -1.0, 1.0)
        lit = np.clip(towards @ (LIGHT / np.linalg.norm(LIGHT)), 0.0, 1.0)[..., None]
        shades: Array = np.clip(self.colour * (0.5 + 0.5 * lit) + 0.25 * lit**16, 0.0, 1.0)
        return shades


def _render(meshes: Sequence[_Mesh], low: Array, high: Array) -> tuple[Array, Array]:
    """Depth (h, w), −inf where there is nothing, and colour (h, w, 3) of the foremost triangles."""
    scale = PIXELS / float((high - low).max())
    width, height = (2 * (int(np.ceil(scale * extent)) // 2 + 1) for extent in high - low)
    depth = np.full((height, width), -np.inf)
    colours = np.zeros((height, width, 3))
    scale_x, scale_y = width / (high[0] - low[0]), height / (high[1] - low[1])
    for mesh in meshes:
        points = (mesh.corners[..., :2] - low) * (scale_x, scale_y) - 0.5
        firsts = np.ceil(points.min(1)).astype(int).clip(0)
        lasts = np.floor(points.max(1)).astype(int)
        for (a, b, c), z, shade, first, last in zip(
            points, mesh.corners[..., 2], mesh.shades(), firsts, lasts, strict=True
        ):
            area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
            if area == 0.0 or (first > last).any():
                continue
            x = np.arange(first[0], min(last[0], width - 1) + 1)
            y = np.arange(first[1], min(last[1], height - 1) + 1)[:, None]
            # Barycentric coordinates of every sample in the box around the triangle.
            v = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
            w = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
            u = 1.0 - v - w
            found = u * z[0] + v * z[1] + w * z[2]
            box = (slice(first[1], last[1] + 1), slice(first[0], last[0] + 1))
            shown = (u >= 0.0) & (v >= 0.0) & (w >= 0.0) & (found > depth[box])
            depth[box][shown] = found[shown]
            weights = np.stack([u[shown], v[shown], w[shown]], axis=1)
            colours[box][shown] = weights @ shade
    return depth, colours


def _view(atoms: Atoms) -> Array:
    """Axes (3, 3) of the picture: right, up and towards the viewer, in rows."""
    spread = atoms.positions - atoms.positions.mean(0)
    axes = np.linalg.svd(spread, full_matrices=True)[2]
    axes[2] = np.cross(axes[0], axes[1])
    angle = np.deg2rad(TILT)
    turn = np.array(
        [
            [1.0, 0.0, 0.0],
            [0.0, np.cos(angle), np.sin(angle)],
            [0.0, -np.sin(angle), np.cos(angle)],
        ]
    )
    view: Array = turn @ axes
    return view


def _vertex_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Unit normals (V, 3): of the faces around a vertex, by their areas."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], np.cross(b - a, c - a))
    unit: Array = normals / (np.linalg.norm(normals, axis=1)[:, None] + 1e-12)
    return unit


def _ball_and_stick(result: Result) -> list[_Mesh]:
    """A ball for every atom, two half sticks for every bond."""
    atoms = result.atoms
    if result.coefficients is None:
        raise MissingWavefunctionsError(
            "this result carries no orbitals, which tell the bonds: expected one of predict, or of "
            "predict_many(…, wavefunctions=True)"
        )
    bonds = analyze(atoms, result.coefficients, result.n_occupied).bonds
    sphere = ball()
    parts = []
    for number, position in zip(atoms.numbers, atoms.positions, strict=True):
        radius = 0.45 * float(covalent_radii[number])
        parts.append(_Mesh(position + radius * sphere, sphere, atom_colour(number)))
    for a, b in bonds:
        start, end = atoms.positions[a], atoms.positions[b]
        middle = 0.5 * (start + end)
        around = _ring(start, end, SECTORS)
        normals = _triangles(np.stack([around, around]))
        for near, number in ((start, atoms.numbers[a]), (end, atoms.numbers[b])):
            net = np.stack([near + STICK * around, middle + STICK * around])
            parts.append(_Mesh(_triangles(net), normals, atom_colour(number)))
    return parts


def atom_colour(number: int) -> Array:
    """Red, green and blue, 0 to 1, of an element: those of Jmol but for H and C."""
    # Jmol's carbon hides shading, its white hydrogen a white page.
    greys = {1: 0.88, 6: 0.38}
    colour: Array = np.full(3, greys[number]) if number in greys else jmol_colors[number]
    return colour


def ball(rings: int = 12, sectors: int = 20) -> Array:
    """Triangles (T, 3, 3) of a unit sphere, which are their own normals."""
    theta, phi = np.linspace(0.0, np.pi, rings + 1), np.linspace(0.0, 2.0 * np.pi, sectors + 1)
    points = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.sin(theta), np.sin(phi)),
            np.outer(np.cos(theta), np.ones_like(phi)),
        ],
        axis=2,
    )
    return _triangles(points)


def stick(start: Array, end: Array, sectors: int) -> Array:
    """Triangles (T, 3, 3) of an open cylinder of radius ``STICK``."""
    ring = _ring(start, end, sectors)
    return _triangles(np.stack([start + STICK * ring, end + STICK * ring]))


def _ring(start: Array, end: Array, sectors: int) -> Array:
    """Unit vectors (sectors + 1, 3) around the axis from ``start`` to ``end``."""
    across = np.linalg.svd((end - start)[None])[2][1:]
    phi = np.linspace(0.0, 2.0 * np.pi, sectors + 1)
    ring: Array = np.outer(np.cos(phi), across[0]) + np.outer(np.sin(phi), across[1])
    return ring


def _triangles(points: Array) -> Array:
    """Two triangles for each cell of a net of points (r, s, 3)."""
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    net: Array = np.stack([np.stack([a, b, c], 2), np.stack([a, c, d], 2)], 2).reshape(-1, 3, 3)
    return net
