"""``esml bands`` and ``esml dos``: bands, densities of states and d-band centres of crystals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esml.commands.messages import console, fail, note, refusing
from esml.commands.options import (
    DeviceOption,
    IndexOption,
    check_apart,
    check_output,
    check_picture,
)

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from esml.predict.crystals import CrystalSurrogate
    from esml.results.crystal import Crystal

MOST_ROWS = 40
"""Largest number of atoms that are printed; files list all atoms."""

CrystalArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Crystal with its cell, in a format ASE reads.")
]
SolidOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Name or path of a model of crystals; the shipped one for its elements if left out.",
    ),
]
MeshOption = Annotated[
    str | None,
    typer.Option(
        "--k-points", metavar="N,N,N", help="Divisions of the k mesh; fine enough if left out."
    ),
]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Picture (.png, .pdf, .svg).")]
HDF5Option = Annotated[Path | None, typer.Option("--hdf5", help="Write all of it here.")]
WidthOption = Annotated[
    float, typer.Option("--width", help="Standard deviation of the lines of the DOS, eV.")
]


def bands(
    file: CrystalArgument,
    path: Annotated[
        str | None,
        typer.Option(
            "--path", help="Special points, such as GXWKG,UX; the usual path if left out."
        ),
    ] = None,
    n_points: Annotated[int, typer.Option(min=2, help="Points along the path.")] = 120,
    k_points: MeshOption = None,
    width: WidthOption = 0.1,
    plot: PlotOption = None,
    csv: Annotated[Path | None, typer.Option(help="Write the bands here.")] = None,
    hdf5: HDF5Option = None,
    model: SolidOption = None,
    index: IndexOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Bands of a crystal along a path, with a picture beside the density of states."""
    outputs = {"--plot": plot, "--csv": csv, "--hdf5": hdf5}
    for option, place in outputs.items():
        check_output(place, option)
    check_apart(outputs, {"the crystal": file, "--model": model})
    check_picture(plot)
    _check_width(width)
    crystal, _ = _predicted(file, index, k_points, model, device)
    with refusing(ValueError):
        found = crystal.bands(path, n_points)
    _note_folding(crystal.atoms)
    from esml.export.crystals import write_bands, write_crystal
    from esml.results.crystal import usual_energies

    energies = usual_energies()
    projected = crystal.projected_dos(energies, width)
    with refusing(OSError):
        if csv is not None:
            write_bands(csv, found)
            note(f"bands: {csv}")
        if hdf5 is not None:
            write_crystal(hdf5, crystal, energies, projected, found)
            note(f"all of it: {hdf5}")
        if plot is not None:
            from esml.plots.crystals import bands_figure

            _save(bands_figure(crystal, found, energies, projected), plot)
    typer.echo(_summary(crystal))
    typer.echo(f"path: {found.path}, {len(found.distances)} points")
    low, high = found.energies.min(), found.energies[:, -1].max()
    typer.echo(f"{found.energies.shape[1]} bands from {low:.2f} to {high:.2f} eV")
    typer.echo(f"trained: {crystal.trained}; others mean nothing")


def dos(
    file: CrystalArgument,
    k_points: MeshOption = None,
    width: WidthOption = 0.1,
    plot: PlotOption = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the density of states here, by element and shell.")
    ] = None,
    sites: Annotated[
        Path | None, typer.Option(help="Write d-band centre, electrons and charge of atoms here.")
    ] = None,
    bonds: Annotated[
        Path | None,
        typer.Option(help="Write integrated crystal orbital Hamilton populations of bonds here."),
    ] = None,
    hdf5: HDF5Option = None,
    chart: Annotated[
        Path | None,
        typer.Option(
            "--map", help="Map of all structures of FILE for chemiscope (.json or .json.gz)."
        ),
    ] = None,
    model: SolidOption = None,
    index: IndexOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Density of states of a crystal; d-band centres of metal atoms, the gap of electrolytes."""
    outputs = {"--plot": plot, "--csv": csv, "--sites": sites, "--bonds": bonds, "--hdf5": hdf5}
    outputs["--map"] = chart
    for option, place in outputs.items():
        check_output(place, option)
    check_apart(outputs, {"the crystal": file, "--model": model})
    check_picture(plot)
    _check_width(width)
    crystal, surrogate = _predicted(file, index, k_points, model, device)
    from esml.export.crystals import write_bonds, write_crystal, write_dos, write_sites
    from esml.results.crystal import usual_energies

    energies = usual_energies()
    projected = crystal.projected_dos(energies, width)
    with refusing(OSError):
        if csv is not None:
            write_dos(csv, crystal, energies, projected)
            note(f"density of states: {csv}")
        if sites is not None:
            write_sites(sites, crystal)
            note(f"atoms: {sites}")
        if bonds is not None:
            write_bonds(bonds, crystal)
            note(f"bonds: {bonds}")
        if hdf5 is not None:
            write_crystal(hdf5, crystal, energies, projected)
            note(f"all of it: {hdf5}")
        if plot is not None:
            from esml.plots.crystals import dos_figure

            _save(dos_figure(crystal, energies, projected), plot)
    if chart is not None:
        _write_map(chart, file, k_points, surrogate, model, device)
    typer.echo(_summary(crystal))
    if not crystal.mesh.insulating:
        _print_sites(crystal)


def _predicted(
    file: Path, index: int | None, k_points: str | None, model: str | None, device: str
) -> tuple[Crystal, CrystalSurrogate]:
    """Predict a structure of a file; return the prediction and the model.

    Ends the command if that is not possible.
    """
    from esml.io.structure_checks import StructureError
    from esml.io.structure_checks.crystals import check_ordered
    from esml.physics.crystals import NeutralityError
    from esml.predict.model_files import solid_model

    divisions = _divisions(k_points)
    atoms = _read(file, index)
    with refusing(ValueError, OSError):
        surrogate = solid_model(model, device, set(atoms.numbers.tolist()))
    with refusing(StructureError, NeutralityError, ValueError):
        check_ordered(atoms)
        crystal = surrogate.predict(atoms, divisions)
    for warning in crystal.warnings:
        note(f"warning: {warning}")
    return crystal, surrogate


def _write_map(
    path: Path,
    file: Path,
    k_points: str | None,
    surrogate: CrystalSurrogate,
    model: str | None,
    device: str,
) -> None:
    """Write a map of all structures of ``file``; name those that cannot be predicted.

    ``surrogate`` is the model for one of them. If no ``model`` is named and other structures
    contain elements unknown to it, the shipped model for all their elements is loaded.
    """
    import ase.io

    from esml.export.crystal_map import write_crystal_map
    from esml.export.writer import ExportError
    from esml.io.structure_checks import StructureError
    from esml.io.structure_checks.crystals import check_ordered
    from esml.physics.crystals import NeutralityError
    from esml.predict.model_files import solid_model

    structures = ase.io.read(file, index=":")
    elements = {int(z) for atoms in structures for z in atoms.numbers}
    if model is None and not elements <= set(surrogate.elements):
        with refusing(ValueError, OSError):
            surrogate = solid_model(model, device, elements)
    crystals = []
    for number, atoms in enumerate(structures):
        try:
            check_ordered(atoms)
            crystals.append(surrogate.predict(atoms, _divisions(k_points)))
        except (StructureError, NeutralityError) as error:
            note(f"structure {number} is not on the map: {error}")
    with refusing(ExportError, OSError):
        write_crystal_map(path, crystals)
    note(f"map of {len(crystals)} crystals: {path}")


def _read(file: Path, index: int | None) -> Atoms:
    """Read a structure of a file, the last if ``index`` is None; end the command if impossible."""
    if not file.is_file():
        fail(f"no file '{file}': expected a crystal in a format ASE reads; check the path")
    import ase.io
    from ase import Atoms

    try:
        found = ase.io.read(file, index=":")
    except Exception as error:  # ASE's readers raise errors of many types
        fail(
            f"'{file}' could not be read ({' '.join(str(error).split()) or type(error).__name__}): "
            "expected a crystal with its cell in a format ASE reads, such as CIF, POSCAR or "
            "extended xyz; check the file"
        )
    count = len(found)
    if not count:
        fail(f"'{file}' holds no structure: expected at least one crystal; check the file")
    wanted = -1 if index is None else index
    if not -count <= wanted < count:
        fail(
            f"no structure {wanted} in '{file}': it holds {count}, so the index runs from "
            f"{-count} to {count - 1}"
        )
    if index is None and count > 1:
        note(f"note: '{file}' holds {count} structures; this is the last (--index chooses another)")
    atoms = found[wanted]
    assert isinstance(atoms, Atoms)
    return atoms


def _divisions(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        fail(
            f"--k-points is '{text}': expected three whole numbers from 1, "
            "such as 4,4,4; correct it"
        )
    return tuple(int(p) for p in parts)


def _check_width(width: float) -> None:
    if not 0.0 < width <= 10.0:
        fail(f"--width is {width:g} eV: expected more than 0 and at most 10; choose another")


def _note_folding(atoms: Atoms) -> None:
    from esml.io.structure_checks.crystals import is_primitive

    if not is_primitive(atoms):
        note(
            "note: the cell is not primitive, so its bands are folded, on a path of its own "
            "lattice: for the usual ones give the primitive cell, as of spglib.find_primitive, "
            "ase.build.bulk (elements) or ase.io.read(…, primitive_cell=True) (CIF files with "
            "their space group)"
        )


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=200)
    note(f"picture: {path}")


def _summary(crystal: Crystal) -> str:
    mesh = "×".join(map(str, crystal.divisions))
    said = f"{crystal.name}: {len(crystal.atoms)} atoms, {mesh} k points, non-magnetic PBE level"
    if not crystal.mesh.insulating:
        return said
    edges = (
        f"{name} {', '.join(f'{orbital} {share:.0%}' for orbital, share in edge.shares.items())}"
        for name, edge in zip(("valence band top:", "conduction band:"), crystal.edges, strict=True)
    )
    of_pbe = " (PBE: too small)" if crystal.in_domain else ""
    return "\n".join([said, f"gap {crystal.gap:.2f} eV{of_pbe}", *edges])


def _print_sites(crystal: Crystal) -> None:
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False)
    for heading in ("atom", "element", "d-band centre (eV)", "d electrons", "charge (e)"):
        table.add_column(heading, justify="left" if heading == "element" else "right")
    rows = zip(
        crystal.atoms.symbols,
        crystal.d_band_centres,
        crystal.populations[:, 2],
        crystal.charges,
        strict=True,
    )
    for atom, (element, centre, electrons, charge) in enumerate(rows):
        if atom == MOST_ROWS:
            break
        table.add_row(
            str(atom), element, f"{centre:.2f}", f"{electrons:.2f}", f"{charge + 0.0:+.2f}"
        )
    console().print(table)
    if len(crystal.atoms) > MOST_ROWS:
        typer.echo(f"… and {len(crystal.atoms) - MOST_ROWS} more: --sites FILE writes all")
