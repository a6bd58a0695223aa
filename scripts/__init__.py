"""Studies and checks of the project, run from a clone: ``python -m scripts.accuracy.benchmark``."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The clone."""
