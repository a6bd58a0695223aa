"""Files written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` under a temporary name first, so that a reader never meets half.

    Whatever happens no temporary file is left, but for a kill: ``.<name>.<process>.tmp``. Raises
    OSError where the disk refuses; what stood at ``path`` is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        # Gone already after the rename.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
