"""Small software renderer for molecules and surfaces, without a graphics card.

matplotlib sorts whole polygons by depth, which breaks intersecting surfaces; here each pixel keeps
the foremost triangle. Shapes of orbitals are an illustration (``esml.analysis.orbital_shapes``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from esml.analysis.characters import MissingWavefunctionsError
from esml.analysis.orbital_shapes import Grid, surface
from esml.plots.bodies import Mesh, balls_and_sticks, vertex_normals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from esml.results import Result

Array = NDArray[np.float64]

TILT = 38.0
"""Degrees by which a molecule is tilted from face on, so that both sides show their lobes."""

OPACITY = 0.68
"""Opacity of surfaces."""

PIXELS = 800
"""Samples along the longer side of an image; two by two are averaged to one pixel."""


def draw_scene(
    ax: Axes, result: Result, surfaces: Sequence[tuple[Array, Grid, float, str]] = ()
) -> None:
    """Draw a molecule, with surfaces around it, into ``ax``.

    Parameters
    ----------
    ax : Axes
        Where to draw; its axes are switched off.
    result : Result
        The molecule. Its orbitals define the bonds.
    surfaces : sequence of (field, grid, value, colour)
        Surfaces on which a field (values on the grid) equals a value. They are translucent: the
        molecule is visible through them, but not a surface behind another surface.

    Raises
    ------
    MissingWavefunctionsError
        If ``result`` has no orbitals.
    ImportError
        If scikit-image is missing.
    """
    from matplotlib.colors import to_rgb

    view = _view(result.atoms)
    centre = result.atoms.positions.mean(0)
    solid = [mesh.seen(centre, view).facing() for mesh in _molecule(result)]
    lobes = []
    for field, grid, value, name in surfaces:
        vertices, faces = surface(field, grid, value)
        if len(faces):
            normals = vertex_normals(vertices, faces)
            lobes.append(Mesh(vertices[faces], normals[faces], np.array(to_rgb(name))))
    lobes = [mesh.seen(centre, view) for mesh in lobes]
    corners = np.concatenate([mesh.corners.reshape(-1, 3) for mesh in (*solid, *lobes)])
    low, high = corners[:, :2].min(0) - 0.3, corners[:, :2].max(0) + 0.3
    picture = _smooth(_blend(_render(solid, low, high), _render(lobes, low, high)))
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(picture, extent=extent, origin="lower", interpolation="antialiased")
    ax.set_axis_off()


def _molecule(result: Result) -> list[Mesh]:
    if result.coefficients is None:
        raise MissingWavefunctionsError(
            "this result has no orbitals, which tell the bonds to draw: expected a result of "
            "predict, or of predict_many(…, wavefunctions=True)"
        )
    bonding = result.bonding
    return balls_and_sticks(result.atoms, bonding.bonds)


def _view(atoms: Atoms) -> Array:
    """Axes (3, 3) of the image in rows: right, up and towards the viewer."""
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


def _blend(solid: tuple[Array, Array], lobes: tuple[Array, Array]) -> Array:
    """Colours (h, w, 3) on white, with translucent lobes where they are in front of the solid."""
    depth, colours = solid
    front, tints = lobes
    picture = np.where(np.isfinite(depth)[..., None], colours, 1.0)
    before = (front > depth)[..., None]
    blended: Array = np.where(before, OPACITY * tints + (1.0 - OPACITY) * picture, picture)
    return blended


def _smooth(picture: Array) -> Array:
    """Average two by two samples to smooth edges."""
    rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
    smooth: Array = picture.reshape(rows, 2, columns, 2, 3).mean((1, 3))
    return smooth


def _render(meshes: Sequence[Mesh], low: Array, high: Array) -> tuple[Array, Array]:
    """Depth (h, w) and colour (h, w, 3) of the foremost triangles; depth is −inf where empty."""
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
