"""Command line of the reference data: ``python -m reference sample|generate|validate|info``.

The commands for crystals are under ``python -m reference crystals``.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from .command_line import fail, read_images, tell, tell_report, tell_run
from .crystals.commands import app as crystals
from .families import Family

app = typer.Typer(
    help="Reference data for esml: molecules, geometries, Hamiltonians and excitation labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(crystals, name="crystals")


@app.command()
def sample(
    output: Annotated[Path, typer.Argument(help="structures to write, extended xyz")],
    n_molecules: Annotated[
        int, typer.Option("-n", min=1, help="number of distinct molecules")
    ] = 300,
    max_heavy: Annotated[int, typer.Option(min=2, max=9, help="most heavy atoms")] = 7,
    n_distorted: Annotated[
        int, typer.Option(min=0, help="number of distorted structures of each molecule")
    ] = 1,
    relaxed_share: Annotated[
        float, typer.Option(min=0, max=1, help="share of molecules whose relaxed structure is kept")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="seed of everything")] = 0,
    skip: Annotated[
        int, typer.Option(min=0, help="number of molecules to leave out at the beginning")
    ] = 0,
    family: Annotated[
        Family | None, typer.Option(help="only molecules of this family of parts of dyes")
    ] = None,
    extrapolation: Annotated[
        bool, typer.Option("--extrapolation", help="the larger molecules kept for tests, instead")
    ] = False,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage", help="take the first -n molecules of reference/coverage.csv instead"
        ),
    ] = False,
    substituted: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="take molecules of this class of reference/coverage.csv, such as boron or anion, "
            "with one more substituent instead; give it once for each class",
        ),
    ] = None,
) -> None:
    """Draw molecules and write their relaxed and thermally distorted structures.

    Structures are appended as they are made; rerun an interrupted sample to continue it.
    """
    from .sample import write_coverage, write_extrapolation, write_sample, write_substituted

    if extrapolation + coverage + bool(substituted) > 1:
        raise fail("--extrapolation, --coverage and --substituted are samples: give one of them")

    try:
        if extrapolation:
            n = write_extrapolation(output, seed=seed)
        elif coverage:
            n = write_coverage(output, n_molecules, n_distorted, relaxed_share, seed)
        elif substituted:
            n = write_substituted(
                output, substituted, n_molecules, n_distorted, relaxed_share, seed
            )
        else:
            n = write_sample(
                output, n_molecules, max_heavy, n_distorted, relaxed_share, seed, skip, family
            )
    except ValueError as error:
        raise fail(str(error)) from error
    typer.echo(f"{output}: {n} structures")


@app.command()
def generate(
    structures: Annotated[
        list[Path], typer.Argument(help="files of structures, in any format that ASE reads")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="directory of shards")],
    workers: Annotated[
        int, typer.Option(min=0, help="number of processes; 0 computes in this one")
    ] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="compute on the Dask cluster whose scheduler is there; local: on one of --workers "
            "processes here",
        ),
    ] = None,
    functional: Annotated[str, typer.Option(help="functional of the labels")] = "camb3lyp",
    basis: Annotated[str, typer.Option(help="basis of the labels")] = "def2-svp",
    minimal_basis: Annotated[str, typer.Option(help="basis of the minimal SCF")] = "sto-3g",
    scf_grid: Annotated[int, typer.Option(min=0, max=9, help="grid of the SCF")] = 1,
    response_grid: Annotated[int, typer.Option(min=0, max=9, help="grid of the kernel")] = 0,
    virtual_cutoff: Annotated[
        float,
        typer.Option(
            help="hartree; virtual orbitals above it are left out of the response; inf: none"
        ),
    ] = 3.0,
    n_singlets: Annotated[int, typer.Option(min=1, help="largest number of singlets to keep")] = 16,
    n_triplets: Annotated[int, typer.Option(min=1, help="largest number of triplets to keep")] = 12,
    retry: Annotated[
        bool, typer.Option("--retry", help="try structures that failed earlier again")
    ] = False,
    parts_per_shard: Annotated[
        int, typer.Option(min=1, help="largest number of records of a shard")
    ] = 500,
) -> None:
    """Compute the records of STRUCTURES and write shards; existing records are not recomputed."""
    from esml.io.records import DatasetError
    from esml.jobs import ClusterError, WorkerError

    from .generate import generate as run
    from .scf import Level

    images = read_images(structures)
    level = Level(
        functional=functional,
        basis=basis,
        minimal_functional=functional,
        minimal_basis=minimal_basis,
        scf_grid=scf_grid,
        response_grid=response_grid,
        virtual_cutoff=None if math.isinf(virtual_cutoff) else virtual_cutoff,
        n_singlets=n_singlets,
        n_triplets=n_triplets,
    )
    try:
        summary = run(
            images,
            output,
            level,
            workers,
            retry,
            dask=dask,
            parts_per_shard=parts_per_shard,
        )
    except (DatasetError, ClusterError, WorkerError) as error:
        raise fail(str(error)) from error
    tell_run(summary, output)


@app.command()
def tightbinding(
    output: Annotated[Path, typer.Argument(help="directory of shards")],
    n_molecules: Annotated[
        int,
        typer.Option("-n", min=1, help="number of molecules to draw; those of the coverage follow"),
    ] = 15000,
    seed: Annotated[int, typer.Option(help="seed of everything")] = 0,
) -> None:
    """Write tight-binding Hamiltonians of training molecules, for pretraining.

    Existing shards are kept; rerun an interrupted run to continue it.
    """
    from esml.io.records import DatasetError

    from .tightbinding import molecules, write

    try:
        chosen = molecules(n_molecules, seed)
        write(output, chosen, seed)
    except DatasetError as error:
        raise fail(str(error)) from error
    typer.echo(f"{output}: {len(chosen)} molecules")


@app.command()
def validate(
    data: Annotated[list[Path], typer.Argument(help="shards or directories of shards")],
    limit: Annotated[int, typer.Option(help="number of records to check; 0: all")] = 0,
) -> None:
    """Check every record and list outliers to look at; exit with 1 if something is wrong."""
    from esml.io.records import DatasetError

    from .validate import validate as check

    try:
        report = check(data, limit or None)
    except DatasetError as error:
        raise fail(str(error)) from error
    tell_report(report)


@app.command()
def info(
    data: Annotated[list[Path], typer.Argument(help="shards or directories of shards")],
) -> None:
    """Count the structures, molecules, elements, splits, levels and states of a dataset."""
    from ase.data import chemical_symbols

    from esml.io.records import DatasetError, iterate

    elements: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    geometries: Counter[str] = Counter()
    heavy: Counter[int] = Counter()
    levels: Counter[str] = Counter()
    molecules: set[str] = set()
    n = singlets = triplets = 0
    seconds = 0.0
    try:
        for record in iterate(data):
            n += 1
            elements.update({chemical_symbols[z] for z in record.numbers})
            splits[record.split] += 1
            geometries[record.geometry] += 1
            heavy[int((record.numbers > 1).sum())] += 1
            levels[record.level] += 1
            molecules.add(record.inchikey or record.name)
            singlets += len(record.singlet_energies)
            triplets += len(record.triplet_energies)
            seconds += json.loads(record.provenance or "{}").get("seconds_total", 0.0)
    except DatasetError as error:
        raise fail(str(error)) from error
    tell("structures", f"{n} of {len(molecules)} molecules")
    tell("elements", elements)
    tell("heavy atoms", heavy)
    tell("splits", splits)
    tell("geometries", geometries)
    tell("states", f"{singlets} singlets, {triplets} triplets")
    tell("cost", f"{seconds / 3600:.2f} core hours")
    for level in levels:
        tell("level", level)


if __name__ == "__main__":
    sys.exit(app())
