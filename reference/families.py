"""Which molecules may be sampled apart. By itself, so that naming them takes no RDKit."""

from __future__ import annotations

from typing import Literal

Family = Literal["benzenoid", "hydrocarbon", "fused"]
"""Molecules to sample apart: parts of dyes, of which a sample of small molecules holds few.

``benzenoid`` have a six-membered aromatic ring, ``hydrocarbon`` are conjugated throughout and of
carbon and hydrogen only, ``fused`` are built on a core of ``building_blocks.FUSED``.
"""
