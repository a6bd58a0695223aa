"""The shipped recipe with one part changed: that nothing else changes, and that it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("matplotlib")

from scripts.csv_rows import read_rows
from scripts.training import vary_training as varying

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parents[1] / "data" / "tiny.h5"


def differences(one: Any, other: Any, name: str = "") -> set[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            found
            for key in one.keys() | other.keys()
            for found in differences(one.get(key), other.get(key), f"{name}.{key}".strip("."))
        }
    return set() if one == other else {name}


def test_a_variant_differs_from_the_shipped_recipe_in_what_it_names(tmp_path: Path) -> None:
    plan = varying.VariantsPlan.of(ROOT / "configs" / "variants.yaml")
    base = plan.base.model_dump()
    always = {"data", "output", "name", "epochs", "validate_every"}
    found = list(varying.jobs(plan))
    assert len({job.name for job in found}) == len(found)
    for job in found:
        config = job.config(plan.base, tmp_path / "data.h5", tmp_path / "run").model_dump()
        assert differences(base, config) - always == set(job.changes), job.name
    assert {job.variant for job in found} == {"", *plan.variants}


def test_variants_are_trained_and_shown(tmp_path: Path) -> None:
    base = {
        "data": [str(TINY)],
        "output": str(tmp_path / "never"),
        "model": {
            "network": {"channels": 4, "layers": 1, "radial": 4, "radial_hidden": 4},
            "pair_channels": 4,
            "hidden": 4,
            "products": 1,
        },
        "epochs": 1,
        "exact_from": 1.0,
    }
    content = {
        "base": "base.yaml",
        "extrapolation": str(TINY),
        "seed": 0,
        "sizes": [2],
        "ablation": {"size": 3, "epochs": 1},
        "variants": {"as shipped": {}, "other": {"losses.alignment": 0.0}},
    }
    for name, settings in (("base", base), ("variants", content)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    plan = varying.VariantsPlan.of(tmp_path / "variants.yaml")
    path = tmp_path / "variants.csv"
    varying.run(plan, tmp_path / "runs", path, only=["size-*"])
    varying.run(plan, tmp_path / "runs", path)
    rows = read_rows(path)
    held = {(r["variant"], int(r["structures"])) for r in rows}
    assert {variant for variant, _ in held} == {"", "as shipped", "other"}
    varying.run(plan, tmp_path / "runs", path)
    assert read_rows(path) == rows
    # The test split is looked at in the learning curve only.
    assert {r["set"] for r in rows if r["variant"]} == {"validation", "extrapolation"}
    assert {r["set"] for r in rows if not r["variant"]} == {"validation", "extrapolation", "test"}
    assert len(varying.Found(rows).sizes) == 2
    shown = varying.variants_table(rows).splitlines()
    assert len(shown) == 4
    assert all(line.count("|") == len(varying.SHOWN) + 2 for line in shown)


def test_the_exponent_is_that_of_a_power_law() -> None:
    sizes = [100, 300, 900]
    assert varying.exponent(sizes, [3.0 * n**-0.4 for n in sizes]) == pytest.approx(0.4)
