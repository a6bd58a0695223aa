"""A little of ``scripts/robustness/fuzz.py``: odd structures and options, and mutated files."""

from __future__ import annotations

from pathlib import Path

from scripts.robustness import fuzz


def test_structures_and_options_are_predicted_or_refused() -> None:
    counts = fuzz.fuzz_structures(200, seed=1)
    assert sum(counts.values()) >= 200
    assert min(counts["predicted"], counts["refused"]) >= 20


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    assert fuzz.fuzz_files(tmp_path, 130, seed=1) == []
