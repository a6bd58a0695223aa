"""Lists of molecules: finished, refused, and continued by the next server after a kill."""

from __future__ import annotations

import csv
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.io import write

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from esml.serve import Batches, Limits, RefusedError, Service
from esml.serve.batches import BatchQuestion
from scripts.serving import Server


def xyz(n: int, folder: Path) -> str:
    """``n`` hydrogen molecules of different lengths."""
    path = folder / "many.xyz"
    write(path, [Atoms("H2", [[0, 0, 0], [0, 0, 0.6 + 0.001 * k]]) for k in range(n)])
    return path.read_text()


def finished(batches: Batches, name: str) -> dict[str, Any]:
    for _ in range(600):
        found = batches.describe(name)
        if found["state"] in ("done", "failed"):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


@pytest.fixture
def service() -> Service:
    return Service(processes=1)


def test_a_batch_is_predicted_and_can_be_forgotten(service: Service, tmp_path: Path) -> None:
    batches = Batches(service, tmp_path / "batches")
    batches.start()
    damaged = xyz(20, tmp_path) + "2\n\nH 0 0 0\n"
    name = batches.add(BatchQuestion(content=damaged, name="a.xyz", n_states=1))["id"]
    found = finished(batches, name)
    assert (found["state"], found["done"], found["failed"]) == ("done", 21, 1)
    lines = batches.result(name).read_text().splitlines()
    assert len(lines) == 1 + 21
    batches.remove(name)
    with pytest.raises(RefusedError, match="no such batch"):
        batches.describe(name)
    batches.close()


def test_a_list_is_predicted_in_the_solvent_that_was_chosen(
    service: Service, tmp_path: Path
) -> None:
    """A push–pull dye in water, beside vacuum; and for a list that names its own solvents."""
    pytest.importorskip("rdkit")
    batches = Batches(service, tmp_path)
    batches.start()
    dye = "Nc1ccc(cc1)[N+](=O)[O-]"
    own = f"smiles,solvent\n{dye},water\n{dye},\n"

    def rows(content: str, name: str, **options: Any) -> list[dict[str, str]]:
        question = BatchQuestion(content=content, name=name, n_states=2, geometry="mmff", **options)
        found = finished(batches, batches.add(question)["id"])
        assert found["failed"] == 0, found
        assert found["solvent"] == options.get("solvent", "")
        lines = batches.result(found["id"]).read_text(encoding="utf-8").splitlines()
        return list(csv.DictReader(lines))

    (vacuum,), (water,) = rows(dye, "a.smi"), rows(dye, "a.smi", solvent="water")
    assert (vacuum["solvent"], water["solvent"]) == ("", "water")
    assert abs(float(water["S2_eV"]) - float(vacuum["S2_eV"])) > 0.05
    assert [row["solvent"] for row in rows(own, "a.csv")] == ["water", ""]
    assert [row["solvent"] for row in rows(own, "a.csv", solvent="ethanol")] == 2 * ["ethanol"]
    assert [row["solvent"] for row in rows(own, "a.csv", solvent="vacuum")] == 2 * [""]
    with pytest.raises(RefusedError, match="solvent 'watr' is not known"):
        batches.add(BatchQuestion(content=dye, name="a.smi", solvent="watr"))
    batches.close()


def test_the_reason_of_a_failure_names_the_list_and_no_folder(
    service: Service, tmp_path: Path
) -> None:
    pytest.importorskip("rdkit")
    batches = Batches(service, tmp_path)
    batches.start()
    question = BatchQuestion(content="[CH3] methyl\n", name="mine.smi", geometry="mmff")
    (reason,) = finished(batches, batches.add(question)["id"])["reasons"]
    assert reason.startswith("mine.smi, structure 0 'methyl': ")
    assert str(tmp_path) not in reason
    batches.close()


@pytest.mark.parametrize("name", ["../../etc", "x" * 16, "..", "", "0123456789abcde/"])
def test_ids_lead_nowhere_else(service: Service, tmp_path: Path, name: str) -> None:
    batches = Batches(service, tmp_path)
    with pytest.raises(RefusedError, match="no such batch"):
        batches.describe(name)
    batches.close()


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    batches = Batches(Service(limits=Limits(molecules=3, batch=500), processes=1), tmp_path)
    with pytest.raises(RefusedError, match="holds 0 molecules"):
        batches.add(BatchQuestion(content="", name="a.smi"))
    with pytest.raises(RefusedError, match="holds 4 molecules"):
        batches.add(BatchQuestion(content="C\nN\nO\nF\n", name="a.smi"))
    with pytest.raises(RefusedError, match="more than 500 bytes"):
        batches.add(BatchQuestion(content="C\n" * 300, name="a.smi"))
    with pytest.raises(RefusedError, match="ends in no format"):
        batches.add(BatchQuestion(content="C", name="../../a.py"))
    assert not list(tmp_path.glob("*/request.json"))
    batches.close()


def test_hostile_lists_are_refused_in_a_sentence(service: Service, tmp_path: Path) -> None:
    """10 MB of SMILES in a line; a SMILES, and a file, of 100,000 atoms among good ones."""
    batches = Batches(service, tmp_path)
    with pytest.raises(RefusedError, match="a line of 10,000,000 characters"):
        batches.add(BatchQuestion(content="C" * 10_000_000, name="a.smi"))
    assert not list(tmp_path.glob("*/request.json"))
    batches.start()
    good = "2\n\nH 0 0 0\nH 0 0 0.74\n"
    atoms = "".join(f"H {k % 300}.0 {k // 300}.0 0.0\n" for k in range(100_000))
    for content, name in (
        (f"{good}100000\n\n{atoms}{good}", "a.xyz"),
        (f"C=O good\n{'C' * 9_000} large\nN#N good\n", "a.smi"),
    ):
        found = finished(batches, batches.add(BatchQuestion(content=content, name=name))["id"])
        assert (found["state"], found["done"], found["failed"]) == ("done", 3, 1)
        (reason,) = found["reasons"]
        assert " atoms: expected at most 250; give a smaller one" in reason
    batches.close()


def test_two_servers_do_not_share_a_folder(service: Service, tmp_path: Path) -> None:
    first = Batches(service, tmp_path)
    with pytest.raises(ValueError, match="being written by another process"):
        Batches(service, tmp_path)
    first.close()


@pytest.mark.slow  # starts two servers
def test_under_load_and_killed_nothing_is_lost(tmp_path: Path) -> None:
    """50 clients at once beside a batch; then a kill, and the next server finishes the batch."""
    folder = tmp_path / "batches"
    server = Server(folder)
    content = xyz(600, tmp_path)
    batch = server.ask("batches", {"content": content, "name": "many.xyz", "n_states": 1})

    def ask(k: int) -> float:
        hydrogens = "H 0 0.94 -0.59\nH 0 -0.94 -0.59\n"
        single = f"4\n\nC 0 0 0\nO 0 0 {1.15 + 0.002 * k:.3f}\n{hydrogens}"
        answer = server.ask("predict", {"content": single, "name": "a.xyz", "n_states": 1})
        return float(answer["states"][0]["energy_eV"])

    with ThreadPoolExecutor(50) as clients:
        energies = list(clients.map(ask, range(50)))
    # Everyone has the answer to their own question: with a longer C=O bond S1 lies lower.
    assert energies == sorted(energies, reverse=True)
    assert len(set(energies)) == 50

    while (found := server.ask(f"batches/{batch['id']}"))["done"] == 0:
        time.sleep(0.02)
    server.stop(signal.SIGKILL)
    kept = found["done"]
    journal = folder / batch["id"] / "results.csv.journal"
    assert kept == 600 or journal.exists()

    server = Server(folder)
    while (found := server.ask(f"batches/{batch['id']}"))["state"] != "done":
        assert found["state"] in ("waiting", "running"), found
        time.sleep(0.1)
    assert found["done"] == 600
    lines = server.read(f"batches/{batch['id']}/result").decode().splitlines()
    server.stop(signal.SIGTERM)
    assert len(lines) == 1 + 600
    assert [line.split(",")[2] for line in lines[1:]] == [str(k) for k in range(600)]
    assert json.loads((folder / batch["id"] / "request.json").read_text())["name"] == "many.xyz"
