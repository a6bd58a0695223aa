"""Building blocks of the reference molecules (SMILES), read from ``building_blocks.yaml``.

Do not reorder the tables: the seeded sample depends on their order. Patterns are SMARTS.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import yaml

_TABLES: Final[dict[str, Any]] = yaml.safe_load(
    (files(__package__) / "building_blocks.yaml").read_text(encoding="utf-8")
)

CHAINS: Final[dict[str, str]] = _TABLES["chains"]
"""Open-chain chromophores (name: SMILES)."""

RINGS: Final[dict[str, str]] = _TABLES["rings"]
"""Single rings, aromatic or conjugated (name: SMILES)."""

FUSED: Final[dict[str, str]] = _TABLES["fused"]
"""Fused rings and aromatic cores of 8 or 9 heavy atoms (name: SMILES)."""

SATURATED: Final[dict[str, str]] = _TABLES["saturated"]
"""Saturated cores (name: SMILES); they take saturated substituents only."""

SMALL_SUBSTITUENTS: Final[tuple[str, ...]] = tuple(_TABLES["small_substituents"])
"""Small substituents, the only ones added as a second substituent; the first atom binds."""

SUBSTITUENTS: Final[tuple[str, ...]] = (*SMALL_SUBSTITUENTS, *_TABLES["further_substituents"])
"""All substituents, by SMILES; the first atom binds."""

SATURATED_SUBSTITUENTS: Final[tuple[str, ...]] = tuple(_TABLES["saturated_substituents"])
"""Substituents of saturated cores; the first atom binds."""

UNSTABLE: Final[dict[str, str]] = _TABLES["unstable"]
"""Unstable or absurd groups (name: SMARTS); molecules that contain one are left out."""

HELD_OUT: Final[dict[str, str]] = _TABLES["held_out"]
"""Cores held out for the test split (name: SMARTS); no training molecule contains one."""

EXTRAPOLATION: Final[dict[str, str]] = _TABLES["extrapolation"]
"""Larger molecules (name: SMILES) of 10 to 24 heavy atoms, never sampled: they test transfer."""

DYES: Final[dict[str, str]] = _TABLES["dyes"]
"""Dyes with the new elements and ions (name: SMILES), 14 to 48 heavy atoms, for testing only."""

LARGER: Final[tuple[str, ...]] = tuple(_TABLES["larger"])
"""Larger chromophores (SMILES), mostly parts of dyes; the split of each is that of any molecule."""
