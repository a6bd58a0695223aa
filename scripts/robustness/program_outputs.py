"""Read real outputs of quantum-chemistry programs, complete and truncated, and print the results.

    python -m scripts.robustness.program_outputs FOLDER [--pieces N]

FOLDER is searched for outputs of the programs that esml knows, such as a clone of cclib (whose
folder ``data`` holds some hundreds of Gaussian, ORCA, NWChem and Q-Chem) or of cclib-data. Prints
a line for each: formula, charge, multiplicity, numbers of singlets and triplets with the first of
each, or the sentence that refuses it. With ``--pieces N`` each is also read truncated after k/N of
its bytes; a piece may give an earlier geometry or a sentence. Exit code 1 if any other exception is
raised.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from esml.io.formats.programs import Calculation, program_of, read_calculation
from esml.io.provenance import InputError


def shown(found: Calculation) -> str:
    """Format what was read from an output on one line."""
    atoms, singlets, triplets = found.table.atoms, *map(found.of_multiplicity, (1, 3))
    parts = [
        atoms.get_chemical_formula(),
        f"charge {found.table.charge}",
        f"multiplicity {atoms.info.get('multiplicity')}",
        found.level,
    ]
    for name, states in (("S", singlets), ("T", triplets)):
        if states:
            bright = states[0].strength
            strength = "" if bright is None else f" f {bright:.3f}"
            parts.append(f"{len(states)} {name} from {states[0].energy:.3f} eV{strength}")
    if others := len(found.states) - len(singlets) - len(triplets):
        parts.append(f"{others} states of other or untold multiplicity")
    return "; ".join((*parts, *found.table.notes))


def attempt(path: Path) -> tuple[str, str]:
    """Read a file; return the outcome (read, refused, raised) and its message."""
    try:
        return "read", shown(read_calculation(path))
    except InputError as error:
        return "refused", str(error)
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=1)
    given = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    for path in sorted(p for p in given.folder.rglob("*") if p.is_file()):
        if program_of(path) is None:
            continue
        how, said = attempt(path)
        counts[how] += 1
        print(f"{path.relative_to(given.folder)}: {how}: {said}", flush=True)
        content = path.read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            piece = Path(folder) / path.name
            for k in range(1, given.pieces):
                piece.write_bytes(content[: len(content) * k // given.pieces])
                if program_of(piece) is None:
                    continue
                how, said = attempt(piece)
                counts[f"{how} in part"] += 1
                if how == "raised":
                    print(f"    {k}/{given.pieces}: {said}", flush=True)
    print(", ".join(f"{count} {how}" for how, count in sorted(counts.items())))
    if counts["raised"] or counts["raised in part"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
