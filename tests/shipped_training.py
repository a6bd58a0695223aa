"""The sets that the shipped model of molecules was trained on, as its last configuration says."""

from __future__ import annotations

from pathlib import Path

from esml.training import load_config

LAST_PART = Path(__file__).parents[1] / "configs" / "default" / "8_larger.yaml"
SETS = load_config(LAST_PART).data
