"""Options that several commands share, and the checks made before any work is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esml.commands.messages import fail, refusing, working

if TYPE_CHECKING:
    from esml.io.structures import ReadingOptions
    from esml.predict.surrogate import Surrogate

PICTURES = (".png", ".pdf", ".svg")
"""File name extensions of pictures."""

MoleculeArgument = Annotated[
    str, typer.Argument(metavar="FILE|SMILES", help="Geometry in any usual format, or SMILES.")
]
IndexOption = Annotated[
    int | None,
    typer.Option("--index", help="Structure of the file, from 0; the last if left out."),
]
HerzbergTellerOption = Annotated[
    bool,
    typer.Option(
        "--herzberg-teller",
        help="--vibronic with transition dipoles that change along the modes: intensity of "
        "forbidden bands. Two predictions more for each mode.",
    ),
]

AveragedOption = Annotated[
    bool,
    typer.Option(
        "--averaged",
        help="--vibronic with energies averaged over zero-point and thermal motion: bands "
        "lie about 0.1 eV lower. 24 predictions more.",
    ),
]

StateOption = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="S1",
        help="Details of one state: relaxed dipole and charges, absorption to higher states, "
        "spin-orbit couplings, phosphorescence; --json and --report have them.",
    ),
]

WidthOption = Annotated[
    float | None,
    typer.Option(
        "--fwhm",
        "--width",
        help="Full width of a line at half maximum, eV; 0.3, with --vibronic 0.1, if left out.",
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        help="Temperature of the vibrations of --vibronic, K; 298.15 if left out.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Name or path of a model; the shipped one if left out."),
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Where to compute: cpu, or an accelerator such as cuda.")
]
StatesOption = Annotated[
    int, typer.Option("--n-states", help="Number of singlets, and of triplets.")
]


GeometryOption = Annotated[
    str | None,
    typer.Option(
        "--geometry",
        help="xtb: relax with GFN2-xTB; mmff: with MMFF94; as-is: only coordinates given. xtb for "
        "SMILES and drawings, else as-is, if left out.",
    ),
]
ChargeOption = Annotated[
    int | None,
    typer.Option("--charge", help="Total charge; what the input states, or 0, if left out."),
]
LargestOption = Annotated[
    bool,
    typer.Option("--largest-fragment", help="Keep the largest molecule of a salt or complex."),
]
ColumnOption = Annotated[
    str | None,
    typer.Option(
        "--smiles-column",
        help="Column of SMILES in a table, by heading or number from 1; found if left out.",
    ),
]
CellOption = Annotated[
    bool,
    typer.Option("--ignore-cell", help="Treat what lies in a periodic cell as one molecule."),
]

SolventOption = Annotated[
    str | None,
    typer.Option(
        "--solvent",
        metavar="NAME",
        help="Solvent, by name, SMILES or 'permittivity,refractive index'; what the input states, "
        "or vacuum, if left out.",
    ),
]
SolventColumnOption = Annotated[
    str | None,
    typer.Option(
        "--solvent-column",
        help="Column of solvents in a table, by heading or number from 1; the one headed solvent "
        "if left out.",
    ),
]
PointChargesOption = Annotated[
    Path | None,
    typer.Option(
        "--point-charges",
        metavar="FILE",
        help="Point charges around the molecule, in the frame of its coordinates: an ORCA .pc file "
        "or a geometry with charges.",
    ),
]


def reading_options(
    geometry: str | None,
    charge: int | None,
    largest_fragment: bool,
    smiles_column: str | None,
    ignore_cell: bool,
    elements: Sequence[int] = (),
    solvent: str | None = None,
    solvent_column: str | None = None,
    point_charges: Path | None = None,
) -> ReadingOptions:
    """Make the reading options of a command; end the command if one is invalid."""
    from esml.io.provenance import SurroundingsError
    from esml.io.structures import InputError, ReadingOptions
    from esml.io.surroundings import as_point_charges, as_solvent

    with refusing(InputError, SurroundingsError):
        as_solvent(solvent)
        return ReadingOptions(
            geometry=geometry,  # type: ignore[arg-type]  # checked there
            charge=charge,
            largest_fragment=largest_fragment,
            smiles_column=smiles_column,
            ignore_cell=ignore_cell,
            elements=tuple(elements),
            solvent=solvent,
            solvent_column=solvent_column,
            point_charges=as_point_charges(point_charges),
        )


def load(model: str | None, device: str = "cpu") -> Surrogate:
    """Load the model that a command names on a device."""
    with refusing(ValueError, OSError), working("loading the model"):
        from esml.predict.model_files import molecular_model

        return molecular_model(model, device=device)


def check_n_states(n_states: int) -> None:
    """End the command if the number of states is below 1."""
    if n_states < 1:
        fail(f"--n-states is {n_states}: expected a number of states of at least 1; choose one")


def check_apart(outputs: Mapping[str, Path | None], inputs: Mapping[str, object]) -> None:
    """End the command if an output would replace an input file or another output.

    Both are given by option or, for the molecule, in words. A molecule that is no file is skipped.
    """
    taken: dict[str, str] = {}
    for what, given in inputs.items():
        if given is not None and os.path.isfile(str(given)):
            taken[os.path.realpath(str(given))] = f"{what}, which is read"
    for option, path in outputs.items():
        if path is None:
            continue
        # Path.resolve would raise for circular links.
        place = os.path.realpath(path)
        if place in taken:
            fail(
                f"{option} '{path}' is also the file of {taken[place]}: expected a file of its "
                "own; choose another name"
            )
        taken[place] = option


def check_output(path: Path | None, option: str) -> None:
    """End the command before any work is done if an output file cannot be written."""
    if path is None:
        return
    if path.is_dir():
        fail(f"{option} '{path}' is a directory: expected the name of a file to write; add one")
    if not path.parent.is_dir():
        fail(
            f"{option} '{path}' lies in no directory that exists: expected '{path.parent}'; make "
            "it or choose another place"
        )


def check_picture(path: Path | None) -> None:
    """End the command before any work is done if a picture cannot be drawn."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        fail(
            f"--plot '{path}' ends in '{path.suffix}': expected one of {', '.join(PICTURES)}; "
            "rename it"
        )
    check_packages("matplotlib", option="--plot", extra="plot")
    import matplotlib as mpl

    mpl.use("Agg")


def check_packages(*packages: str, option: str, extra: str) -> None:
    """End the command if a package that ``option`` needs is not installed."""
    from importlib import import_module

    for package in packages:
        try:
            import_module(package)
        except ImportError:
            fail(f'{option} needs {package}: pip install "esml[{extra}]"')
