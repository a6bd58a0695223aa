"""Write files whole or not at all, and by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class BusyError(ValueError):
    """Raised if another process is writing this output."""


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file, then rename it to ``path``: no reader sees half of it.

    Only a killed process leaves its temporary file, ``.<name>.<process>.tmp``, behind. Raises
    OSError if the disk refuses; a previous file at ``path`` is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # The error of a full disk does not name the file.
        error.filename = error.filename or str(path)
        raise
    finally:
        # After the rename it is gone already.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def sole_writer(lock: Path, output: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``output``; the system releases it if the process dies.

    The lock is the file ``lock``. Raises BusyError if another process holds it, OSError if it
    cannot be created.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    while True:
        file = open(lock, "w")  # noqa: SIM115 (closed below)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise BusyError(
                f"'{output}' is being written by another process: expected one writer; wait for it "
                "to end or choose another output"
            ) from error
        # The previous holder may have removed the file in the meantime.
        if lock.exists() and os.path.samestat(os.fstat(file.fileno()), os.stat(lock)):
            break
        file.close()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        file.close()
