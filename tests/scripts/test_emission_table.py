"""The table of measured and predicted emission: means, correlations, a store that was cut short."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

pytest.importorskip("rdkit")

from esml.units import HC
from scripts.accuracy import emission

FIRST, SECOND, THIRD = list(emission.DYES)[:3]


def test_means_of_measured_maxima(tmp_path: Path) -> None:
    rows = [(*FIRST, 300, 400), (*FIRST, 300, "NaN"), ("C", "O", 1, 1)]
    head = "chromophore_smiles,solvent_smiles,absorption_max_nm,emission_max_nm"
    text = "\n".join([head, *(",".join(map(str, row)) for row in rows)])
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    found = emission.measured(path)
    assert list(found) == [FIRST, ("C", "O")]
    assert found[FIRST] == pytest.approx((HC / 300, HC / 400))


def test_correlations_and_failures() -> None:
    def entry(up: float, down: float) -> dict[str, object]:
        relaxed: dict[str, object] = {"absorption": up, "emission": down, "converged": True}
        return relaxed | {"strength": 0.1, "maximum": up - 0.1, "mirrored": 8.0 - down}

    known = {FIRST: (2.9, 2.8), SECOND: (3.9, 3.5), THIRD: (4.9, 4.7)}
    done = {key: entry(up + 0.1, down - 0.3) for key, (up, down) in known.items()}
    relaxed, mirrored = emission.report(done, known).split("\n\n")[1:]
    assert relaxed.startswith("vertical energies, S1 relaxed: 3 dyes: correlation of emission 1.00")
    assert "of the Stokes shift 1.00 (Spearman 1.00); emission 0.30 eV off (mean -0.30)" in relaxed
    assert "Stokes shift 0.40 eV off (mean +0.40)" in relaxed
    assert mirrored.startswith(
        "maxima, emission as mirror image: 3 dyes: correlation of emission -1"
    )
    assert "of absorption 1.00" in mirrored
    lacking = {"failed": "no minimum", "maximum": 4.9, "mirrored": 3.6}
    text = emission.report({**done, THIRD: lacking}, known)
    assert "| no minimum | – | 4.90 | 3.60 | 4.90 | 4.70 |" in text
    assert "S1 relaxed" not in text  # of two dyes there is no correlation
    assert "mirror image: 3 dyes" in text


def test_dyes_are_drawn_by_scaffold() -> None:
    """Small and neutral, one of each scaffold, in a solvent that is listed; the same each time."""
    known = {
        ("c1ccccc1", "O"): (4.8, 4.2),
        ("Cc1ccccc1", "O"): (4.7, 4.2),  # the same scaffold
        ("c1ccncc1", "nothing"): (4.9, 4.3),
        ("c1ccsc1", "CCO"): (5.0, float("nan")),
        ("C[N+](C)(C)C", "O"): (5.0, 4.0),
        ("Brc1ccoc1", "O"): (5.0, 4.0),
        ("c1ccc2ccccc2c1", "CCO"): (4.0, 3.8),
        ("C" * 21, "CCO"): (8.0, 7.0),
    }
    found = emission.drawn(known, 5, 0)
    assert len(found) == 2
    assert ("c1ccc2ccccc2c1", "CCO") in found
    assert found == emission.drawn(known, 5, 0)
    assert len(emission.drawn(known, 1, 0)) == 1


def test_a_store_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"dye": "a", "solvent": "b"}\n{"dye": "c", "sol', encoding="utf-8")
    assert list(emission.kept(path)) == [("a", "b")]
    assert emission.kept(tmp_path / "none") == {}
