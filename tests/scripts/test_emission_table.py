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
        return {"absorption": up, "emission": down, "strength": 0.1, "converged": True}

    done = {FIRST: entry(3.0, 2.5), SECOND: entry(4.0, 3.2), THIRD: entry(5.0, 4.4)}
    known = {key: (e["absorption"] - 0.1, e["emission"] + 0.3) for key, e in done.items()}  # type: ignore[operator]
    text = emission.report(done, known)
    assert "correlation of emission 1.00, of absorption 1.00, of the Stokes shift 1.00" in text
    assert "mean difference of emission -0.30 eV" in text
    text = emission.report({**done, THIRD: {"failed": "no minimum"}}, known)
    assert "no minimum" in text
    assert "correlation" not in text


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
