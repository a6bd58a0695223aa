"""Families of molecules that can be sampled on their own; importing this needs no RDKit."""

from __future__ import annotations

from typing import Literal

Family = Literal["benzenoid", "hydrocarbon", "fused"]
"""Families to sample on their own: parts of dyes, which are rare in a sample of small molecules.

``benzenoid`` molecules have a six-membered aromatic ring, ``hydrocarbon`` molecules are fully
conjugated hydrocarbons, ``fused`` molecules are built on a core of ``building_blocks.FUSED``.
"""
