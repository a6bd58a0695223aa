"""A list of SMILES that is stopped and continued: nothing is lost or done twice."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import esml
from esml.io.provenance import ReadingOptions
from esml.predict.run import MADE_AHEAD, predict_files

pytest.importorskip("rdkit")


def test_a_stopped_list_goes_on_after_its_last_window(tmp_path: Path) -> None:
    """Windows are short, for each geometry may have taken minutes."""
    smiles = ["C=O", "C=C", "nonsense", "C#N", "CO", "N"] * 4
    assert MADE_AHEAD < len(smiles) < 2 * MADE_AHEAD
    path, output = tmp_path / "list.smi", tmp_path / "out.csv"
    path.write_text("".join(f"{text} m{k}\n" for k, text in enumerate(smiles)))
    model, options = esml.load_model(), ReadingOptions(geometry="mmff")

    stopped = predict_files(model, [path], output, 1, options=options)
    assert next(stopped).done == 0
    assert next(stopped).done >= MADE_AHEAD
    stopped.close()
    assert not output.exists()

    tallies = list(predict_files(model, [path], output, 1, options=options))
    assert MADE_AHEAD <= tallies[-1].resumed < len(smiles)
    assert (tallies[-1].predicted, tallies[-1].failed) == (20, 4)
    rows = list(csv.DictReader(output.read_text(encoding="utf-8").splitlines()))
    assert [row["name"] for row in rows] == [f"m{k}" for k in range(len(smiles))]
