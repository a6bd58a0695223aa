"""Samples of crystals by name, and writing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase.io
from ase import Atoms

from ..sample import SampleError
from . import alloys, electrolytes

SETS = {
    "alloys": alloys.sample,
    "quinaries": alloys.sample_quinaries,
    "vacancies": alloys.sample_vacancies,
    "electrolytes": electrolytes.sample,
    "moved": electrolytes.sample_moved,
    "beta": electrolytes.sample_beta,
    "bridged": electrolytes.sample_bridged,
    "stacked": electrolytes.sample_stacked,
    "doubled": electrolytes.sample_doubled,
    "supercells": electrolytes.sample_supercells,
}
"""What draws the first structures of a seed."""


def draw(name: str, n: int, seed: int = 0) -> list[Atoms]:
    """``n`` structures of the set ``name``; SampleError for one that is not there."""
    if name not in SETS:
        raise SampleError(f"{name!r} is no set of crystals: expected one of {', '.join(SETS)}")
    return SETS[name](n, seed)


def require_new(output: Path) -> None:
    """Raise SampleError when ``output`` is there already."""
    if output.exists():
        raise SampleError(
            f"{output} is there already: expected a new file; choose another output or remove it"
        )


def write_sample(output: str | Path, structures: Sequence[Atoms]) -> int:
    """Write ``structures`` to ``output`` (extended xyz); returns how many they are.

    Raises SampleError when the file is there already or cannot be written.
    """
    output = Path(output)
    require_new(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        ase.io.write(output, list(structures), format="extxyz")
    except OSError as error:
        raise SampleError(
            f"{output} could not be written ({error}): expected a writable place with room; choose "
            "another output"
        ) from error
    return len(structures)
