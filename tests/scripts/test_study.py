"""The comparison of backbones and heads: its subsets, budgets, table, resumption and page."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

pytest.importorskip("matplotlib")

from esml.io.records import Record, read
from esml.model import checkpoint
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.backbones.transformer import TransformerConfig
from esml.model.direct import Direct, DirectConfig
from esml.model.hamiltonian import EffectiveHamiltonian, HamiltonianConfig
from esml.predict.model_files import save_model
from esml.predict.surrogate import Surrogate
from esml.training import loop, train
from esml.training.objectives import onsite_levels
from esml.training.state import save_state
from scripts.csv_rows import add_rows
from scripts.inductive_bias import bench, curves, page, plan, study
from scripts.inductive_bias import scores as scoring
from scripts.inductive_bias.figures import FIGURES

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "tiny.h5"
CONFIG = ROOT / "configs" / "study.yaml"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read(TINY)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The committed study in small: few molecules, small networks, a second for a cell."""
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    settings |= {"data": [str(TINY)], "sizes": [5, "all"], "seeds": [0], "steps": 9}
    settings["training"] |= {"batch_size": 2, "warmup": 0}
    settings["backbones"]["equivariant"]["network"] |= {"channels": 4, "layers": 1}
    settings["backbones"]["unconstrained"]["network"] |= {"channels": 4, "width": 8, "layers": 1}
    settings["backbones"]["unconstrained"]["averaged"] = {"rotations": 2}
    settings["heads"]["hamiltonian"] |= {"pair_channels": 4, "hidden": 8}
    settings["heads"]["direct"] |= {"hidden": 8}
    settings["sets"] = {"test": {"data": [str(TINY)], "split": "test"}}
    settings["turned"] |= {"structures": 2, "orientations": 2}
    path = tmp_path_factory.mktemp("config") / "study.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return plan.load_study(path)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def without_times(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in rows if row["quantity"] != "seconds"]


# --- protocol -------------------------------------------------------------------------------------


def molecules(records: list[Record]) -> set[str]:
    return {r.inchikey for r in records}


def test_subsets_are_nested_whole_molecules(records: list[Record]) -> None:
    # Copies as other geometries: several structures of a molecule.
    many = [replace(r, key=f"{r.key}{k}") for r in records for k in range(3)]
    whole = Counter(r.inchikey for r in many)
    for seed in range(3):
        chosen = [plan.subset(many, size, seed) for size in (3, 10, 20, "all")]
        for size, found in zip((3, 10, 20), chosen, strict=False):
            assert size <= len(found) < size + max(whole.values())
            assert all(n == whole[key] for key, n in Counter(r.inchikey for r in found).items())
        for fewer, more in pairwise(chosen):
            assert {r.key for r in fewer} < {r.key for r in more}
        assert len(chosen[-1]) == len(many)
    first, second = (molecules(plan.subset(many, 9, seed)) for seed in (0, 1))
    assert first != second
    again = plan.subset(many[::-1], 9, 0)
    assert [r.key for r in again] == [r.key for r in plan.subset(many, 9, 0)]


def test_too_large_a_size_is_refused(records: list[Record]) -> None:
    with pytest.raises(ValueError, match="expected at least 1000; lower the sizes"):
        plan.subset(records, 1000, 0)


def test_the_committed_study_is_fair() -> None:
    form = plan.load_study(CONFIG)
    assert len(form.sizes) >= 4
    assert len(form.seeds) >= 2
    assert {(b, h) for b in form.backbones for h in form.heads} == {
        (b, h) for b in ("equivariant", "unconstrained") for h in ("hamiltonian", "direct")
    }
    steps = []
    records = read(TINY)
    for n in (200, 500, 1300, 3245):
        configs = [
            plan.training_config(form, b, h, 0, n, Path("run"), Path("shard"))
            for b in form.backbones
            for h in form.heads
        ]
        # What a cell may differ in: its model, whether it turns structures, and its rate.
        common = [c.model_dump(exclude={"model", "augment", "learning_rate"}) for c in configs]
        assert all(c == common[0] for c in common)
        assert all(c.initial is None for c in configs)
        assert {c.augment for c in configs} == {False, True}
        steps.append(configs[0].epochs * -(-n // configs[0].batch_size))
        assert {c.learning_rate for c in configs} <= set(form.tuning.rates)
        sizes = [bench.n_parameters(c, records) for c in configs]
        assert max(sizes) < 1.1 * min(sizes)
    assert max(steps) < 1.06 * min(steps)
    assert abs(np.mean(steps) - form.steps) < 0.05 * form.steps


def test_cells_come_in_balanced_order() -> None:
    form = plan.load_study(CONFIG)
    found = list(plan.cells(form))
    assert len({c.name for c in found}) == len(found) == 16 * len(form.seeds)
    for begin in range(0, len(found), 4):
        group = found[begin : begin + 4]
        assert len({(c.backbone, c.head) for c in group}) == 4
        assert len({(c.size, c.seed) for c in group}) == 1
    assert [c.seed for c in found] == sorted(c.seed for c in found)


def test_the_best_rate_is_that_of_the_least_error() -> None:
    errors = {("a", "x", 1e-3): 0.3, ("a", "x", 2e-3): 0.2, ("a", "x", 4e-3): float("nan")}
    errors |= {("b", "x", 1e-3): 0.1, ("b", "x", 2e-3): 0.4}
    rows = [
        {"backbone": b, "head": h, "learning_rate": str(r), "quantity": q, "value": str(v)}
        for (b, h, r), error in errors.items()
        for q, v in (("s1_mae_eV", error), ("gap_mae_eV", -r))
    ]
    assert study.best_rates(rows) == {("a", "x"): 2e-3, ("b", "x"): 1e-3}


# --- the table ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(small: Any, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The table of a study that nothing interrupted."""
    directory = tmp_path_factory.mktemp("whole")
    study.run(small, directory, directory / "study.csv")
    return table(directory / "study.csv")


def test_a_cut_study_goes_on_where_it_stopped(
    small: Any,
    whole: list[dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "cut.csv"
    trained: list[str] = []

    def killed(run: Any, file: Path) -> None:
        save_state(run, file)
        if run.config.name == "equivariant-direct-5-0" and run.epoch == 3:
            raise KeyboardInterrupt

    def noted(config: Any, **options: Any) -> Path:
        trained.append(config.output.name)
        found: Path = train(config, **options)
        return found

    monkeypatch.setattr(bench, "train", noted)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            study.run(small, tmp_path / "cut", path)
    assert {row["head"] for row in table(path)} == {"hamiltonian"}  # one whole cell
    assert trained == ["equivariant-hamiltonian-5-0", "equivariant-direct-5-0"]
    state = next((tmp_path / "cut").glob("*/equivariant-direct-5-0/log.csv"))
    assert len(table(state)) == 3
    trained.clear()
    # The table alone: the first cell's run directory is gone, and is not missed.
    for file in (state.parent.parent / "equivariant-hamiltonian-5-0").iterdir():
        file.unlink()
    study.run(small, tmp_path / "cut", path)
    assert "equivariant-hamiltonian-5-0" not in trained
    assert len(trained) == 7
    assert without_times(table(path)) == without_times(whole)


def test_a_cell_that_fails_costs_no_other(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = {"direct": small.heads["direct"]}
    form = small.model_copy(update={"sizes": [5], "heads": heads})
    failing, *others = (cell.name for cell in plan.cells(form))
    directory = bench.Bench(form, tmp_path / "runs").directory
    (directory / failing).write_text("in the way of its training run")
    path = tmp_path / "study.csv"
    with pytest.raises(SystemExit):
        study.run(form, tmp_path / "runs", path, workers=2)
    assert f"{failing} failed: ConfigError" in capsys.readouterr().out
    rows = table(path)
    assert study.names_of(rows, rows[0]["protocol"], path) == set(others)


def test_the_table_is_tidy(whole: list[dict[str, str]], small: Any) -> None:
    assert all(tuple(row) == study.COLUMNS for row in whole)
    keys = Counter(tuple(row[c] for c in study.COLUMNS[:7]) for row in whole)
    assert set(keys.values()) == {1}
    assert {row["backbone"] + row["head"] + row["size"] for row in whole} == {
        f"{c.backbone}{c.head}{c.size}" for c in plan.cells(small)
    }
    assert [r for r in whole if not (np.isfinite(float(r["value"])) and int(r["n"]) > 0)] == []
    sets = {(row["set"], row["rotations"], row["backbone"]) for row in whole}
    assert ("test", "2", "unconstrained") in sets
    assert ("test", "2", "equivariant") not in sets
    assert not any(name == "validation" for name, _, _ in sets)
    per_size = {
        size: {
            row["value"]
            for row in whole
            if row["size"] == size and row["quantity"] in ("structures", "steps")
        }
        for size in ("5", "all")
    }
    assert all(len(values) == 2 for values in per_size.values())  # the same for all four kinds


def test_rows_of_another_protocol_are_not_mixed_in(small: Any, tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    cell = next(plan.cells(small))
    row = {**cell.columns, "set": "test", "rotations": 1, "quantity": "s1", "value": 1.0, "n": 1}
    add_rows(path, [{**row, "protocol": "other"}], study.COLUMNS)
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="is of protocol other, configuration and data make"):
        study.run(small, tmp_path / "run", path)
    assert path.read_bytes() == before


# --- scores ---------------------------------------------------------------------------------------


def test_the_labels_themselves_have_no_error(records: list[Record]) -> None:
    scores = scoring.score(records, [scoring.truth(r)[0] for r in records])
    assert {"s1", "t1", "bright", "bright_f", "occupied", "gap"} < set(scores.values)
    assert all(scores.mae(name) == 0.0 for name in scores.values)
    # Water, methane: their lowest states are Rydberg-like, and are asked of no one.
    valence = sum(bool(r.singlet_valence_weights[0] >= 0.85) for r in records)
    in_reach = sum(
        bool(r.singlet_valence_weights[0] >= 0.85 and r.singlet_energies[0] <= 8.0) for r in records
    )
    assert len(scores.values["s1"]) == in_reach < valence


def test_a_refusal_is_counted_and_scored_nowhere(records: list[Record]) -> None:
    scores = scoring.score(records[:2], [None, scoring.truth(records[1])[0]])
    assert scores.values["refused"] == [1.0, 0.0]
    assert len(scores.values["gap"]) == 1


BACKBONES = {
    "equivariant": NetworkConfig(channels=8, layers=1, cutoff=4.0, radial=4),
    "unconstrained": TransformerConfig(channels=8, width=16, heads=2, layers=1, cutoff=4.0),
}


@pytest.mark.parametrize("head", ["hamiltonian", "direct"])
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_averaging_over_orientations(
    records: list[Record], tmp_path: Path, backbone: str, head: str
) -> None:
    torch.manual_seed(3)
    path = tmp_path / "model.safetensors"
    network = BACKBONES[backbone]
    if head == "direct":
        direct = Direct(DirectConfig(network=network, hidden=16, levels="occupied"))
        file = checkpoint.Checkpoint(direct.state_dict(), direct.config.model_dump())
        checkpoint.save(path, file)
    else:
        form = HamiltonianConfig(network=network, pair_channels=4, hidden=8)
        hamiltonian = EffectiveHamiltonian(form)
        hamiltonian.set_baseline(onsite_levels(records))
        with torch.no_grad():
            # Untrained, the blocks of H ask nothing of the backbone.
            for parameter in hamiltonian.blocks.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        save_model(Surrogate(hamiltonian), path)
    chosen = records[3:]
    count = 4
    turned = scoring.turned(chosen, count, seed=0)

    def answers(**settings: int) -> Any:
        predict = scoring.predictor(path, **settings)
        return scoring.ask(predict, scoring.structures_of(turned))[0]

    def error(found: Any) -> float:
        return float(scoring.spread(found, count).rmse("occupied_spread"))

    # Some of the untrained ground states are unstable, in every orientation.
    assert sum(a is not None for a in answers()) >= 2 * count
    if backbone == "equivariant":
        straight = scoring.ask(scoring.predictor(path), scoring.structures_of(chosen))[0]
        found = answers()
        # Single precision, levels down to −30 eV.
        assert error(found) < 1e-4
        for place, answer in enumerate(straight):
            if answer is None:
                continue
            group = found[count * place : count * (place + 1)]
            mean = np.mean([a.occupied for a in group], axis=0)
            assert mean == pytest.approx(answer.occupied, abs=1e-4)
            assert np.mean([a.triplet for a in group]) == pytest.approx(answer.triplet, abs=1e-4)
    else:
        alone, averaged = error(answers()), error(answers(rotations=32))
        assert alone > 1e-3
        assert averaged < 0.5 * alone


# --- the page -------------------------------------------------------------------------------------


def made_up(value: dict[tuple[str, str], Any]) -> list[dict[str, Any]]:
    """Rows of a study whose errors follow ``value``, functions of the number of structures."""
    rows = []
    for (backbone, head), law in value.items():
        for size in (200, 400, 800, 1600):
            for seed in (0, 1):
                cell = {"backbone": backbone, "head": head, "size": str(size), "seed": str(seed)}
                facts = {"structures": size, "parameters": 1000, "steps": 100, "seconds": 10}
                entries = [("training", q, v, 1) for q, v in facts.items()]
                for rotations in (1, 8) if backbone == "unconstrained" else (1,):
                    for name in ("test", "extrapolation", "stretched", "turned", "undistorted"):
                        for quantity in ("s1", "bright", "occupied", "s1_spread", "seconds"):
                            error = law(size) + 0.01 * (2 * seed - 1)
                            entries.append((name, quantity, error, rotations))
                rows += [
                    {**cell, "set": s, "quantity": q, "value": str(v), "rotations": str(k), "n": 1}
                    for s, q, v, k in entries
                ]
    return rows


def test_the_page_is_filled_from_the_table(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text((ROOT / "docs" / "physics-and-scaling.md").read_text(encoding="utf-8"))
    laws = {
        ("equivariant", "hamiltonian"): lambda n: 2.0 * n**-0.5,
        ("equivariant", "direct"): lambda n: 20.0 * n**-0.75,
        ("unconstrained", "direct"): lambda n: 5.0 * n**-0.25,
    }
    page.draw(made_up(laws), [], copy)
    text = copy.read_text()
    # Mean and half the distance of two seeds.
    expected = 2.0 * 1600**-0.5
    assert "| equivariant, Hamiltonian | " in text
    assert f"{expected:.3f} ± 0.010" in text
    pictures = {path.name for path in (tmp_path / "figures" / "study").glob("*.png")}
    assert pictures == {f"{name}.png" for name in FIGURES}
    assert all(f"(figures/study/{name})" in text for name in pictures)
    # 20 n^-3/4 = 2 n^-1/2 at n = 10⁴; the slower one never catches up.
    found = curves.StudyTable(made_up(laws))
    base, fast, slow = (curves.law(found.curve(*kind, "test", "s1")) for kind in laws)
    assert base is not None
    assert fast is not None
    assert slow is not None
    assert curves.meeting(base, fast) == "10,000"
    assert curves.meeting(base, slow).startswith("never")


def test_no_page_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="run some cells first"):
        page.draw([], [], tmp_path / "page.md")
