"""Draw the structures of a reference set and write them molecule by molecule."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import ase.io

from esml.jobs import tracked

from .enumeration import sample_molecules, substituted_coverage
from .families import Family
from .geometries import GeometryError, structures
from .molecules import (
    Molecule,
    coverage_molecules,
    extrapolation_molecules,
    fraction,
    larger_molecules,
)


class SampleError(ValueError):
    """A sample cannot be continued or written; the message says why in one sentence."""


def _resume(output: Path, log: Path) -> set[str]:
    """Return the InChIKeys of the molecules that an earlier, interrupted run finished.

    A run that was killed while writing structures or the log may leave a partial entry; both files
    are truncated after the last complete molecule.
    """
    done: set[str] = set()
    length = 0  # bytes of the log in complete lines
    end: int | None = 0  # bytes of the output that these lines account for, if they say so
    for line in log.read_bytes().splitlines(keepends=True) if log.exists() else []:
        try:
            entry = json.loads(line)
            done.add(entry["inchikey"])
        except (json.JSONDecodeError, KeyError, TypeError):
            break
        if not line.endswith(b"\n"):
            break
        length += len(line)
        end = entry.get("bytes")
    if log.exists() and log.stat().st_size > length:
        os.truncate(log, length)
    if end is None:
        return done
    present = output.stat().st_size if output.exists() else 0
    if present < end:
        raise SampleError(
            f"{output} has {present} bytes, {log} accounts for {end}: expected both files of one "
            "run; restore the structures or remove the log to start over"
        )
    if present and not log.exists():
        raise SampleError(
            f"{output} holds something already and there is no {log.name}: expected a new file or "
            "one with its log; choose another output"
        )
    if present > end:
        os.truncate(output, end)
    return done


def _keeps_relaxed(molecule: Molecule, share: float, seed: int) -> bool:
    return fraction("relaxed", seed, molecule.inchikey) < share


def write_sample(
    output: str | Path,
    n_molecules: int,
    max_heavy: int = 7,
    n_distorted: int = 1,
    relaxed_share: float = 0.5,
    seed: int = 0,
    skip: int = 0,
    family: Family | None = None,
) -> int:
    """Append the structures of ``n_molecules`` sampled molecules to ``output`` (extended xyz).

    Every molecule gives ``n_distorted`` thermally distorted or twisted structures; a share
    ``relaxed_share`` of the molecules also gives the relaxed one. ``family`` (see
    ``families.Family``) restricts the sample to that family; ``skip`` leaves out the first
    molecules of the sample, which is the beginning of every longer one. Molecules that cannot be
    built are noted with the reason in ``<output>.log``, which also lets a second run continue.
    Returns the number of structures written by this run. Raises SampleError when the files cannot
    be written or do not belong to the same run.
    """
    molecules = sample_molecules(n_molecules, seed, max_heavy, family=family)[skip:]
    return _write(Path(output), molecules, n_distorted, relaxed_share, seed)


def write_extrapolation(
    output: str | Path, molecules: Iterable[Molecule] | None = None, seed: int = 0
) -> int:
    """Append the relaxed structures of ``molecules``, smallest first; see ``write_sample``.

    They are for testing only and get the split ``extrapolation``. By default they are the molecules
    of ``building_blocks.EXTRAPOLATION``.
    """
    chosen = extrapolation_molecules() if molecules is None else molecules
    ascending = sorted(chosen, key=lambda molecule: molecule.n_heavy)
    return _write(Path(output), ascending, 0, 1.0, seed, "extrapolation")


def write_larger(output: str | Path, seed: int = 1) -> int:
    """Append the relaxed structures of ``building_blocks.LARGER``; see ``write_sample``."""
    return _write(Path(output), larger_molecules(), 0, 1.0, seed)


def write_coverage(
    output: str | Path,
    n_molecules: int | None = None,
    n_distorted: int = 1,
    relaxed_share: float = 0.5,
    seed: int = 0,
) -> int:
    """Append the structures of the first ``n_molecules`` (None: all) of the coverage table.

    They come in the order of ``coverage.interleaved``, so that the first few molecules cover as
    many groups as possible; see ``write_sample`` for the rest.
    """
    return _write(
        Path(output), coverage_molecules()[:n_molecules], n_distorted, relaxed_share, seed
    )


def write_substituted(
    output: str | Path,
    kinds: Collection[str],
    n_molecules: int,
    n_distorted: int = 1,
    relaxed_share: float = 0.5,
    seed: int = 0,
) -> int:
    """Append structures of ``enumeration.substituted_coverage``; see ``write_sample``."""
    molecules = substituted_coverage(kinds, n_molecules, seed)
    return _write(Path(output), molecules, n_distorted, relaxed_share, seed)


def _write(
    output: Path,
    molecules: Sequence[Molecule],
    n_distorted: int,
    relaxed_share: float,
    seed: int,
    split: str | None = None,
) -> int:
    log = output.with_name(output.name + ".log")
    written = 0
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        done = _resume(output, log)
        log.touch()
        for molecule in tracked(molecules, "sampling molecules"):
            if molecule.inchikey in done:
                continue
            relaxed = _keeps_relaxed(molecule, relaxed_share, seed)
            try:
                images, reason = structures(molecule, seed, n_distorted, relaxed), ""
            except GeometryError as error:
                images, reason = [], str(error)
            for image in images if split else []:
                image.info["split"] = split
            if images:
                ase.io.write(output, images, format="extxyz", append=True)
            entry = {
                "inchikey": molecule.inchikey,
                "structures": len(images),
                "reason": reason,
                "bytes": output.stat().st_size if output.exists() else 0,
            }
            with open(log, "a") as file:
                file.write(json.dumps(entry) + "\n")
            written += len(images)
    except OSError as error:
        raise SampleError(
            f"{output} could not be written ({error}): expected a writable place with room; free "
            "space or choose another output; a second run continues"
        ) from error
    return written
