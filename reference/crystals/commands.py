"""``python -m reference crystals sample|generate|validate|info``."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from ..command_line import fail, read_images, tell, tell_report, tell_run

app = typer.Typer(
    help="Crystals: alloys, their bands and minimal Hamiltonians (non-magnetic PBE).",
    no_args_is_help=True,
)


@app.command()
def sample(
    output: Annotated[Path, typer.Argument(help="structures to write, extended xyz")],
    n: Annotated[int, typer.Option("-n", min=1, help="structures")] = 150,
    kind: Annotated[
        str,
        typer.Option(
            "--set",
            help="alloys: 1 to 4 atoms; for tests quinaries (8 atoms of 5 elements) and vacancies "
            "(one missing); electrolytes: Li3PS4, Li6PS5Cl and smaller ones; moved: Li3PS4 with "
            "a lithium in a void; beta: the other polymorph; bridged: Li4P2S7; stacked: Li6PS5Cl "
            "with S and Cl exchanged in some layers; supercells: cells twice as large; doubled: "
            "such cells for tests",
        ),
    ] = "alloys",
    seed: Annotated[int, typer.Option(help="seed of everything")] = 0,
) -> None:
    """Draw alloys of Cr Mn Fe Co Ni Cu, or lithium electrolytes, strained and displaced."""
    from ..sample import SampleError
    from .electrolytes import NotPlacedError
    from .samples import draw, require_new, write_sample

    try:
        require_new(output)
        written = write_sample(output, draw(kind, n, seed))
    except (SampleError, NotPlacedError) as error:
        raise fail(str(error)) from error
    typer.echo(f"{output}: {written} structures")


@app.command()
def generate(
    structures: Annotated[list[Path], typer.Argument(help="structures, anything ASE reads")],
    output: Annotated[Path, typer.Option("-o", "--output", help="directory of shards")],
    workers: Annotated[int, typer.Option(min=0, help="processes; with 0 this one computes")] = 1,
    cutoff: Annotated[float, typer.Option(min=10, help="hartree; of the grid")] = 120.0,
    smearing: Annotated[float, typer.Option(min=1e-4, help="hartree; Fermi smearing")] = 0.01,
    window: Annotated[
        float, typer.Option(help="eV above the Fermi level below which bands are exact")
    ] = 3.0,
    electrolytes: Annotated[
        bool,
        typer.Option(
            "--electrolytes",
            help="level of insulators: valence bands and one conduction band for each P are exact; "
            "cutoff, smearing and window are its own",
        ),
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="try earlier failures again")] = False,
    parts_per_shard: Annotated[int, typer.Option(min=1, help="records of a shard")] = 50,
) -> None:
    """Compute records for STRUCTURES into shards; what is there is kept, so rerun at will.

    The k mesh is ``k_points`` of a structure's info or follows from its cell.
    """
    from esml.io.records import DatasetError
    from esml.jobs import WorkerError

    from ..generate import generate as run
    from ..scf import CalculationError
    from .cell import ELECTROLYTES, CrystalLevel

    images = read_images(structures)
    metals = CrystalLevel(cutoff=cutoff, smearing=smearing, window=window)
    level = ELECTROLYTES if electrolytes else metals
    try:
        summary = run(images, output, level, workers, retry, parts_per_shard=parts_per_shard)
    except (DatasetError, WorkerError, CalculationError) as error:
        raise fail(str(error)) from error
    tell_run(summary, output)


@app.command()
def validate(
    data: Annotated[list[Path], typer.Argument(help="shards or directories of shards")],
) -> None:
    """Check every record; exit 1 when something is wrong."""
    from esml.io.records import DatasetError

    from .validate import validate as check

    try:
        report = check(data)
    except DatasetError as error:
        raise fail(str(error)) from error
    tell_report(report)


@app.command()
def info(
    data: Annotated[list[Path], typer.Argument(help="shards or directories of shards")],
) -> None:
    """Count what a set holds: crystals, atoms, elements, lattices, splits, cost."""
    from ase.data import chemical_symbols

    from esml.io.records import CrystalRecord, DatasetError, iterate

    counts: dict[str, Counter[Any]] = {
        name: Counter() for name in ("atoms", "elements", "lattices", "splits", "tests", "levels")
    }
    n, seconds = 0, 0.0
    try:
        for record in iterate(data, kind=CrystalRecord):
            n += 1
            counts["atoms"][len(record.numbers)] += 1
            counts["elements"].update({chemical_symbols[int(z)] for z in record.numbers})
            counts["lattices"][record.lattice] += 1
            counts["splits"][record.split] += 1
            counts["tests"][record.family] += record.split == "test"
            counts["levels"][record.level] += 1
            seconds += json.loads(record.provenance or "{}").get("seconds_processor", 0.0)
    except DatasetError as error:
        raise fail(str(error)) from error
    tell("crystals", n)
    for name, counter in counts.items():
        tell(name, counter)
    tell("cost", f"{seconds / 60:.1f} processor minutes")
