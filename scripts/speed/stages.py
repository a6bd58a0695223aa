"""Time the stages of a prediction, dense against iterative solver, and a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.model.pairs import Pairs, species
from esml.model.tensors import switch
from esml.physics import (
    Response,
    Strategy,
    orbitals,
    singlets,
    singlets_and_triplets,
    triplets,
)
from esml.predict.batching import Wanted
from esml.predict.surrogate import Surrogate
from scripts.measuring import fine, side_by_side, timed
from scripts.speed.molecules import TYPICAL, typical
from scripts.speed.single import N_STATES


def profile() -> dict[str, Any]:
    """Time the stages for typical molecules, and the minimum: one eigh and one network pass."""
    model = esml.load_model()
    found = {}
    for label, batch in (("one", typical()[:1]), ("batch of 16", (typical() * 2)[:16])):
        found[label] = stages(model, batch)
        print(label, json.dumps(found[label], indent=1, ensure_ascii=False), flush=True)
    return found


def stages(model: Surrogate, batch: list[Atoms], repeats: int = 30) -> dict[str, float]:
    """Return the processor time of the stages of one batch, s per molecule."""
    torch.set_num_threads(1)
    h, precision = model.hamiltonian, torch.float32
    with torch.no_grad():
        graph = model.graph(batch)
        kinds, pairs = species(graph.numbers), Pairs.of(graph)
        near = switch(pairs.distance, h.config.pair_onset, h.config.pair_cutoff)
        features = h.network(pairs, kinds)
        baseline = h.baseline[kinds][:, :3]
        operators = h(graph).double()
        layout = operators.layout
        sizes = layout.n_orbitals, layout.n_occupied
        found = orbitals.diagonalize(operators.hamiltonian, *sizes)
        response = Response(found, operators.interaction, layout)
        runs: dict[str, Callable[[], Any]] = {
            "graph": lambda: model.graph(batch),
            "network": lambda: h.network(pairs, kinds),
            "blocks": lambda: h.blocks(
                h.blocks.pieces(features, pairs, kinds), graph.edge_reverse, near, baseline
            ),
            "Hamiltonian (network, blocks, assembly, far exchange)": lambda: h(graph),
            "orbitals": lambda: orbitals.diagonalize(operators.hamiltonian, *sizes),
            "singlets": lambda: singlets(response, operators.dipole, N_STATES, precision),
            "triplets": lambda: triplets(response, N_STATES, precision),
            "eigh alone": lambda: torch.linalg.eigh(operators.hamiltonian),
            "predict": lambda: model._solve(
                [model._checked(atoms) for atoms in batch], Wanted(N_STATES, 1)
            ),
            "predict, 10 triplets": lambda: model._solve(
                [model._checked(atoms) for atoms in batch], Wanted(N_STATES)
            ),
        }
        times = {name: t / len(batch) for name, t in side_by_side(runs, repeats).items()}
    floor = times["eigh alone"] + times["network"] + times["blocks"]
    over = {f"{n} / floor": times[n] / floor for n in ("predict", "predict, 10 triplets")}
    return times | {"floor": floor} | over


def crossover() -> dict[str, Any]:
    """Time dense and iterative solver for singlets and triplets of growing molecules."""
    model = esml.load_model()
    names = ("H2CO", "C2H4", "CH3CHO", "C2H6", "CH3COCH3", "C4H4O", "C5H5N", "C6H6")
    rows = {}
    for n_batch in (1, 16):
        for name in names:
            row = solvers(model, [molecule(name)] * n_batch)
            rows[f"{name}, batch of {n_batch}"] = row
            print(name, n_batch, row, flush=True)
    return rows


def solvers(model: Surrogate, batch: list[Atoms], repeats: int = 7) -> dict[str, float]:
    """Return the processor time of both solvers, s per molecule."""
    torch.set_num_threads(1)
    with torch.no_grad():
        operators = model.hamiltonian(model.graph(batch)).double()
        layout = operators.layout
        found = orbitals.diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        response = Response(found, operators.interaction, layout)

        wanted = operators.dipole, N_STATES, N_STATES, torch.float32
        row: dict[str, float] = {"singles": int(response.n_available[0])}
        for kind, limit in (("dense", 10**9), ("iterative", 0)):
            strategy = Strategy(dense=limit, dense_per_state=limit)
            both = partial(singlets_and_triplets, response, *wanted, strategy=strategy)
            row[kind] = fine(both, repeats) / len(batch)
    return row


def gpu() -> dict[str, Any]:
    """Return molecules per second against batch size on a GPU; empty without one."""
    if not torch.cuda.is_available():
        print("no GPU here")
        return {}
    model = esml.load_model(device="cuda")
    rows = {}
    for size in (1, 4, 16, 64, 256):
        batch = (typical() * (1 + size // len(TYPICAL)))[:size]

        def run(batch: list[Atoms] = batch) -> None:
            model._solve([model._checked(atoms) for atoms in batch], Wanted(N_STATES))
            torch.cuda.synchronize()

        run()
        rows[size] = size / timed(run, 3)["wall_s"]
        print(size, f"{rows[size]:.1f} molecules/s", flush=True)
    return {"device": torch.cuda.get_device_name(), "molecules_per_s": rows}
