"""One thread a process: matrices here are small, and waiting threads only waste time."""

from __future__ import annotations

import os

# Read when the numerical libraries are first imported, here and in what the tests start.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
