"""Draw the structures of a reference set and write them, one molecule after another."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
from tqdm import tqdm

from .geometries import GeometryError, structures
from .molecules import Molecule, fraction, sample_molecules


def _finished(log: Path) -> set[str]:
    """InChIKeys of molecules an earlier, interrupted run has dealt with."""
    if not log.exists():
        return set()
    done = set()
    for line in log.read_text().splitlines():
        try:
            done.add(json.loads(line)["inchikey"])
        except (json.JSONDecodeError, KeyError):
            continue  # the last line of a killed run
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
) -> int:
    """Append the structures of ``n_molecules`` sampled molecules to ``output`` (extended xyz).

    Every molecule gives ``n_distorted`` thermally distorted or twisted structures, and its relaxed
    one for a ``relaxed_share`` of the molecules. ``skip`` leaves out the first molecules of the
    sample, which is a prefix of every longer one. Molecules that cannot be built are noted, with
    the reason, in ``<output>.log``, which also lets a second run continue. Returns the number of
    structures written by this run.
    """
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_name(output.name + ".log")
    done = _finished(log)
    written = 0
    for molecule in tqdm(sample_molecules(n_molecules, seed, max_heavy)[skip:], unit="molecule"):
        if molecule.inchikey in done:
            continue
        try:
            images = structures(
                molecule, seed, n_distorted, _keeps_relaxed(molecule, relaxed_share, seed)
            )
            reason = ""
        except GeometryError as error:
            images, reason = [], str(error)
        if images:
            ase.io.write(output, images, format="extxyz", append=True)
        with open(log, "a") as file:
            entry = {"inchikey": molecule.inchikey, "structures": len(images), "reason": reason}
            file.write(json.dumps(entry) + "\n")
        written += len(images)
    return written
