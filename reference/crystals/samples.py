"""Writing samples of crystals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase.io
from ase import Atoms

from ..sample import SampleError


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
