"""How many measured dyes esml predicts, how many in domain, and why not the rest.

    python -m scripts.accuracy.dye_coverage TABLE.csv.gz [--n 200] [--first 200] [--seed 0]
        [--column NAME] [--geometry xtb|mmff] [--tried 4] [--seconds 300] [--processes N]
        [--store FILE.jsonl]

Draws different chromophores from a table of SMILES (gzip or not), makes geometries of them like
``esml predict``, and predicts them. Prints Markdown. Geometries are kept in the store, one line for
each dye, so that an interrupted run can continue, and another model or domain is evaluated within
seconds; some are in data/maxima. The table itself is not part of the project.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import esml
from esml.io.geometry import Settings, build_many
from esml.io.provenance import InputError
from esml.physics.basis import ELEMENTS
from esml.predict.surrogate import Surrogate
from scripts import ROOT
from scripts.stores import Entry, add_line, lines_of, rows_of

GEOMETRIES = ROOT / "data" / "maxima" / "geometries.jsonl.gz"
"""Geometries of dyes with measured maxima, made with ``SETTINGS``."""

SETTINGS = Settings(largest_fragment=True, elements=ELEMENTS)
"""How geometries are made, unless asked otherwise."""

REASONS = {
    r"an element the model does not know": "an element the model does not know",
    r"radical|open shell|odd number": "open shell",
    r"no three-dimensional conformer": "no conformer found",
    r"unstable": "the closed shell is unstable",
    r"within \d+ s": "no geometry in time",
    r"neither an existing file nor a SMILES": "no SMILES",
    r"overlap|apart": "implausible geometry",
    r"charge is .* neutral": "charged",
    r"heavy atoms": "larger than the molecules trained on",
    r"unlike any": "surroundings or bonds unlike any trained on",
}
"""Words in a message, and the reason that they are counted under."""


def drawn(path: Path, column: str, n: int, seed: int) -> list[str]:
    """Draw ``n`` different SMILES from a column of a table."""
    smiles = sorted({row[column] for row in rows_of(path) if row[column]})
    return random.Random(seed).sample(smiles, n)


def kind(sentence: str) -> str:
    """Return the reason that a message is counted under."""
    return next((k for pattern, k in REASONS.items() if re.search(pattern, sentence)), sentence)


# --- geometries -----------------------------------------------------------------------------------


def kept(store: Path | None, settings: Settings) -> dict[str, Entry]:
    """Read the geometries in the store by SMILES, and those in the repository made like them."""
    known: dict[str, Entry] = {}
    for path in (GEOMETRIES if settings == SETTINGS else None, store):
        known |= {entry["smiles"]: entry for entry in lines_of(path)} if path else {}
    return known


def geometries(smiles: Sequence[str], settings: Settings, given: argparse.Namespace) -> list[Entry]:
    """Return a geometry of each SMILES, or the reason for none, known or made now."""
    known = kept(given.store, settings)
    missing = [text for text in smiles if text not in known]
    requests = ({"smiles": text} for text in missing)
    built = build_many(requests, settings, given.processes, given.seconds)
    for entry in _timed(missing, built):
        known[entry["smiles"]] = entry
        if given.store:
            add_line(given.store, entry)
    return [known[text] for text in smiles]


def _timed(smiles: Iterable[str], built: Iterable[Any]) -> Iterator[Entry]:
    start = time.perf_counter()
    for text, outcome in zip(smiles, built, strict=True):
        now = time.perf_counter()
        entry: Entry = {"smiles": text, "seconds": round(now - start, 2)}
        start = now
        if isinstance(outcome, InputError):
            yield entry | {"error": str(outcome)}
            continue
        one = outcome[0]
        yield entry | {
            "numbers": one.atoms.numbers.tolist(),
            "positions": np.round(one.atoms.positions, 4).tolist(),
            "charge": one.charge,
            "geometry": one.geometry,
            "notes": list(one.notes),
        }


# --- predictions ----------------------------------------------------------------------------------


def outcome(model: Surrogate, entry: Entry) -> tuple[str, tuple[str, ...]]:
    """Classify a dye as refused, out of domain or in domain, with the reasons."""
    if "error" in entry:
        return "refused", (kind(entry["error"]),)
    atoms = Atoms(entry["numbers"], entry["positions"], info={"charge": entry["charge"]})
    try:
        result = model.predict(atoms, 1, n_triplets=1)
    except (ValueError, RuntimeError) as error:
        return "refused", (kind(str(error)),)
    if result.in_domain:
        return "inside", ()
    return "outside", tuple(sorted({kind(warning) for warning in result.warnings}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--column", default="chromophore_smiles")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument(
        "--first", type=int, help="number of drawn dyes to try, from the first; all by default"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--geometry", choices=("xtb", "mmff"), default="xtb")
    parser.add_argument(
        "--tried", type=int, default=Settings.tried, help="number of conformers to relax"
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="time limit for each geometry")
    parser.add_argument(
        "--processes", type=int, help="number of processes; one for each core by default"
    )
    parser.add_argument("--store", type=Path, help="where geometries are kept (.jsonl)")
    given = parser.parse_args(arguments)
    smiles = drawn(given.table, given.column, given.n, given.seed)[: given.first]
    settings = replace(SETTINGS, geometry=given.geometry, tried=given.tried)
    entries = geometries(smiles, settings, given)
    model = esml.load_model()
    outcomes = [outcome(model, entry) for entry in entries]
    n, counts = len(outcomes), Counter(how for how, _ in outcomes)
    print(f"| of {n} dyes | share |\n|---|---|")
    print(f"| predicted | {(counts['inside'] + counts['outside']) / n:.0%} |")
    print(f"| predicted and in domain | {counts['inside'] / n:.0%} |")
    for how, title in (("refused", "refused"), ("outside", "out of domain, warned of")):
        reasons = Counter(reason for which, said in outcomes if which == how for reason in said)
        for reason, count in reasons.most_common():
            print(f"| {title}: {reason} | {count / n:.1%} |")
    seconds = sum(entry["seconds"] for entry in entries)
    print(f"\nGeometries: {given.geometry}; {seconds / n:.1f} s per dye")


if __name__ == "__main__":
    main()
