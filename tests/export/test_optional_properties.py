"""Properties that are made only where asked for: in files where they are, absent where not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from test_export import prediction

from esml.export import ExportError, open_writer, read_results
from esml.export.merging import merge
from esml.export.plain import from_plain, to_plain
from esml.results import Failure, Result

TWO_PHOTON = {
    "two_photon_strengths",
    "two_photon_circular_strengths",
    "two_photon_cross_sections",
}


def two_photon_prediction(seed: int = 0, **where: Any) -> Result:
    """One with random two-photon strengths."""
    result = prediction(molecule("H2O"), 3, seed, **where)
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {name: rng.uniform(0.0, 100.0, 3) for name in TWO_PHOTON}
    return replace(result, singlets=replace(result.singlets, **made))


def test_two_photon_strengths_come_back_where_there_are_any(tmp_path: Path) -> None:
    """From HDF5 and the journal's JSON bit for bit; nan and absent in a result without."""
    results = [two_photon_prediction(1, name="with"), prediction(molecule("H2O"), 3, name="none")]
    for text in ("a.json", "a.xyz", "a.h5"):
        with open_writer(tmp_path / text, 3) as writer:
            for result in results:
                writer.add(result)
    assert list(read_results(tmp_path / "a.h5")) == results
    for result in results:
        assert from_plain(json.loads(json.dumps(to_plain(result)))) == result
    entries = json.loads((tmp_path / "a.json").read_text())["results"]
    assert [set(entry["singlets"]) >= TWO_PHOTON for entry in entries] == [True, False]
    first, second = ase.io.read(tmp_path / "a.xyz", ":")
    np.testing.assert_allclose(
        first.info["S_two_photon_GM"],
        results[0].singlets.two_photon_cross_sections,
        rtol=1e-6,
    )
    assert not any("two_photon" in key for key in second.info)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_has_columns_for_what_it_is_told_of(tmp_path: Path, ending: str) -> None:
    """Its head is written first, and a number without a column is not dropped in silence."""
    pandas = pytest.importorskip("pandas")
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    read = getattr(pandas, f"read_{ending}")
    asked, plain = two_photon_prediction(name="with"), prediction(molecule("H2O"), 3, name="none")
    path = tmp_path / f"a.{ending}"
    with open_writer(path, 4, extras=asked.singlets.extras) as writer:
        writer.add(asked)
        writer.add(plain)
        writer.add(Failure("bad", "why"))
    table = read(path)
    for k, value in enumerate(asked.singlets.two_photon_strengths):
        assert table[f"S{k + 1}_two_photon_au"][0] == pytest.approx(value, rel=1e-7)
    assert table["S4_two_photon_au"].isna().all()
    assert table["S1_two_photon_au"][1:].isna().all()
    with (
        pytest.raises(
            ExportError, match=r"'with' has two_photon_strengths, .*extras of open_writer"
        ),
        open_writer(tmp_path / f"b.{ending}", 4) as writer,
    ):
        writer.add(asked)
    with open_writer(path, 4) as writer:
        writer.add(plain)
    assert not any("two_photon" in name for name in read(path))


def test_merged_tables_have_what_any_part_has(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    parts = [
        prediction(molecule("H2O"), 3, name="none", source="a.xyz", index=0),
        two_photon_prediction(name="with", source="a.xyz", index=1),
    ]
    paths = [tmp_path / f"{result.name}.h5" for result in parts]
    for path, result in zip(paths, parts, strict=True):
        with open_writer(path, 3) as writer:
            writer.add(result)
    assert merge(paths, tmp_path / "all.csv") == (2, 0)
    column = pandas.read_csv(tmp_path / "all.csv")["S2_two_photon_au"]
    assert np.isnan(column[0])
    assert column[1] == pytest.approx(parts[1].singlets.two_photon_strengths[1], rel=1e-7)
