"""How fast predictions are, beside what they replace and beside programs of like purpose.

    python -m scripts.speed.benchmark profile peers startup stream sizes beside largest \\
        --json docs/speed.json
    python -m scripts.speed.benchmark crossover
    python -m scripts.speed.benchmark gpu
    python -m scripts.speed.benchmark plot --json docs/speed.json --picture docs/speed.png

Parts write into one JSON file, so each may be run again by itself. All but ``largest`` run on one
core. Times are seconds of processor time, for ratios of those hold on a busy machine too; wall
times stand beside them. Sizes are measured with one triplet, which tells whether the closed shell
is the ground state: what a spectrum needs. Every size is measured in a process of its own, whose
peak memory is that of the prediction.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule

from scripts import ROOT

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
N_STATES = 10
TIME_LIMIT = 1800.0  # s, wall, for one molecule
MINUTES = 180.0  # s, wall, for one molecule by another program
BATCH = 16  # structures of a batch of one size

TYPICAL = (  # 15 to 20 atoms
    "CC(=O)c1ccccc1",
    "c1ccc2[nH]ccc2c1",
    "NC(=O)c1ccccc1",
    "C=CC=CC=CC=O",
    "Nc1ccc(C#N)cc1",
    "c1ccc2ncccc2c1",
    "COc1ccccc1",
    "C=Cc1ccccc1",
    "O=C1C=CC(=O)c2ccccc12",
    "CN(C)C=CC=O",
)
BETA_CAROTENE = (
    "CC1=C(C(CCC1)(C)C)/C=C/C(=C/C=C/C(=C/C=C/C=C(/C=C/C=C(/C=C/C2=C(CCCC2(C)C)C)\\C)\\C)/C)/C"
)


# ---- structures -------------------------------------------------------------------------------


def polyene(n_atoms: int) -> Atoms:
    """All-trans CₙHₙ₊₂ with alternating bonds, of the nearest size (4k + 2 atoms)."""
    n_carbon = 2 * max(1, round((n_atoms - 2) / 4))
    carbons = [np.zeros(3)]
    for bond in range(n_carbon - 1):
        length = 1.34 if bond % 2 == 0 else 1.45
        angle = math.radians(28.0 if bond % 2 == 0 else -28.0)
        carbons.append(carbons[-1] + length * np.array([math.cos(angle), math.sin(angle), 0.0]))
    hydrogens = []
    for k, carbon in enumerate(carbons):
        away = np.array([0.0, -1.09 if k % 2 == 0 else 1.09, 0.0])
        hydrogens.append(carbon + away)
    for end, inner in ((0, 1), (-1, -2)):
        direction = carbons[end] - carbons[inner]
        turn = math.radians(-60.0)
        c, s = math.cos(turn), math.sin(turn)
        turned = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ direction
        hydrogens.append(carbons[end] + 1.09 * turned / np.linalg.norm(turned))
    return Atoms(f"C{n_carbon}H{n_carbon + 2}", np.array([*carbons, *hydrogens]))


def glycines(n_atoms: int) -> Atoms:
    """An extended chain H–(NH–CH₂–CO)ₙ–H of the nearest size (7 n + 2 atoms)."""
    n_residues = max(1, round((n_atoms - 2) / 7))
    symbols: list[str] = []
    places: list[np.ndarray] = []

    def add(symbol: str, a: int, b: int, c: int, length: float, angle: float, turn: float) -> int:
        """An atom bound to ``a``, at an angle to ``b`` and a dihedral to ``c``."""
        theta, phi = math.radians(angle), math.radians(turn)
        along = places[a] - places[b]
        along /= np.linalg.norm(along)
        normal = np.cross(places[b] - places[c], along)
        normal /= np.linalg.norm(normal)
        side = np.cross(normal, along)
        local = (-math.cos(theta), math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi))
        places.append(places[a] + length * (local[0] * along + local[1] * side + local[2] * normal))
        symbols.append(symbol)
        return len(places) - 1

    symbols += ["H", "N", "C"]
    places += [np.array([-0.5, 0.88, 0.0]), np.zeros(3), np.array([1.45, 0.0, 0.0])]
    before, nitrogen, alpha = 0, 1, 2
    for residue in range(n_residues):
        add("H", alpha, nitrogen, before, 1.09, 109.5, 60.0)
        add("H", alpha, nitrogen, before, 1.09, 109.5, -60.0)
        carbonyl = add("C", alpha, nitrogen, before, 1.52, 111.0, 180.0)
        oxygen = add("O", carbonyl, alpha, nitrogen, 1.23, 120.5, 0.0)
        if residue == n_residues - 1:
            add("H", carbonyl, alpha, nitrogen, 1.10, 115.0, 180.0)
            break
        following = add("N", carbonyl, alpha, nitrogen, 1.34, 116.0, 180.0)
        add("H", following, carbonyl, oxygen, 1.01, 120.0, 180.0)
        alpha = add("C", following, carbonyl, alpha, 1.45, 122.0, 180.0)
        nitrogen, before = following, carbonyl
    add("H", 1, 2, 0, 1.01, 110.0, 115.0)
    return Atoms(symbols, np.array(places))


def cluster(n_atoms: int) -> Atoms:
    """Formaldehyde molecules, turned at random, on a grid of 4.5 Å."""
    n_molecules = max(1, n_atoms // 4)
    side = math.ceil(n_molecules ** (1 / 3))
    generator = np.random.default_rng(0)
    found = Atoms()
    for place in list(np.ndindex(side, side, side))[:n_molecules]:
        unit = molecule("H2CO")
        unit.positions -= unit.positions.mean(0)
        unit.rotate(generator.uniform(0, 360), generator.normal(size=3))
        unit.positions += 4.5 * np.array(place)
        found += unit
    return found


FAMILIES: dict[str, Callable[[int], Atoms]] = {
    "polyene": polyene,
    "glycines": glycines,
    "cluster": cluster,
}


def named(name: str) -> Atoms:
    """The molecule ``family-size``, "C60" or "beta-carotene"."""
    from esml.io.structures import from_smiles

    if name == "C60":
        return molecule("C60")
    if name == "beta-carotene":
        return from_smiles(BETA_CAROTENE).atoms
    family, _, size = name.partition("-")
    return FAMILIES[family](int(size))


def typical() -> list[Atoms]:
    from esml.io.structures import from_smiles

    return [from_smiles(smiles).atoms for smiles in TYPICAL]


# ---- measuring --------------------------------------------------------------------------------


def _cpu() -> float:
    """Processor time of this process and its finished children."""
    times = os.times()  # in hundredths of a second
    return time.process_time() + times.children_user + times.children_system


def timed(function: Callable[[], Any], repeats: int = 1) -> dict[str, float]:
    """Least processor and wall time of several runs, s."""
    found = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), _cpu()
        function()
        found.append((_cpu() - cpu, time.perf_counter() - wall))
    return {"cpu_s": min(c for c, _ in found), "wall_s": min(w for _, w in found)}


def fine(function: Callable[[], Any], repeats: int = 15) -> float:
    """Least processor time of one run, s; for runs shorter than the ticks of ``os.times``."""
    return side_by_side({"": function}, repeats)[""]


def side_by_side(functions: dict[str, Callable[[], Any]], repeats: int = 15) -> dict[str, float]:
    """The same of several, in turns, so that what else the machine does meets everyone alike."""
    least = dict.fromkeys(functions, math.inf)
    for _ in range(repeats):
        for name, function in functions.items():
            before = time.process_time()
            function()
            least[name] = min(least[name], time.process_time() - before)
    return least


def peak_memory() -> float:
    """Most memory that this process ever held, MB.

    Not ``ru_maxrss``, which on Linux starts with the memory of the process that began this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def single(name: str, threads: int = 1) -> dict[str, Any]:
    """One molecule in this process: time, peak memory, outcome."""
    import torch

    import esml

    torch.set_num_threads(threads)
    atoms = named(name)
    model = esml.load_model()
    model.predict(molecule("CH3CHO"), N_STATES)
    baseline = peak_memory()
    outcome = "ok"

    def run() -> None:
        nonlocal outcome
        try:
            model.predict(atoms, N_STATES, n_triplets=1)
        except ValueError as error:
            outcome = str(error)

    found: dict[str, Any] = {"name": name, "n_atoms": len(atoms), "threads": threads}
    first = timed(run)
    # A first run of seconds is as good as warm.
    again = timed(run, 5) if first["wall_s"] < 2 else first
    found |= again
    found["outcome"] = outcome
    found["peak_MB"] = peak_memory()
    found["before_MB"] = baseline
    return found


def foreign(name: str, program: str) -> dict[str, Any]:
    """The same molecule by "mopac", "sparrow" or "label", or in a "batch" of ours, per molecule.

    Peak memory is of the largest process that took part.
    """
    from scripts.accuracy.peers import run_mopac_indo, run_sparrow_td_dftb

    atoms, count = named(name), 1
    baseline = 0.0
    if program == "batch":
        import torch

        import esml

        torch.set_num_threads(1)
        count = BATCH
        copies = [atoms.copy() for _ in range(count)]
        for seed, copy in enumerate(copies):
            copy.rattle(0.02, seed=seed)
        model = esml.load_model()
        list(model.predict_many([molecule("CH3CHO")] * count, N_STATES, "return"))
        baseline = peak_memory()

        def run() -> Any:
            return list(model.predict_many(copies, N_STATES, "return", n_triplets=1))

    elif program == "label":
        from reference.record import make_record
        from reference.scf import Level

        def run() -> Any:
            return make_record(atoms, Level())

    else:
        method = {"mopac": run_mopac_indo, "sparrow": run_sparrow_td_dftb}[program]

        def run() -> Any:
            return method(atoms, N_STATES)

    times = timed(run)
    if times["wall_s"] < 2:
        times = timed(run, 3)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "program": program,
        "name": name,
        "n_atoms": len(atoms),
        "cpu_s": times["cpu_s"] / count,
        "wall_s": times["wall_s"] / count,
        "outcome": "ok",
        "peak_MB": max(peak_memory(), children),
        "before_MB": baseline,
    }


def beside() -> list[dict[str, Any]]:
    """Batches of one size, and other programs up to the first size that takes them minutes."""
    rows = []
    for program in ("batch", "sparrow", "mopac", "label"):
        for family in FAMILIES:
            for size in SIZES:
                if program == "batch" and size > 128:  # from there on molecules go one by one
                    break
                name = f"{family}-{size}"
                row = {"program": program} | in_own_process(name, 1, MINUTES, program)
                print(json.dumps(row), flush=True)
                rows.append(row)
                # Twice as many atoms take at least five times as long.
                if row["outcome"] != "ok" or row["wall_s"] > MINUTES / 5:
                    break
    return rows


def in_own_process(
    name: str, threads: int = 1, most_s: float = TIME_LIMIT, *program: str
) -> dict[str, Any]:
    """What ``single``, or with a ``program`` ``foreign``, says of the molecule ``name``."""
    command = [
        sys.executable,
        "-m",
        "scripts.speed.benchmark",
        "single",
        name,
        *(program or [str(threads)]),
    ]
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=most_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and what it began
            return {"name": name, "outcome": f"not done within {most_s:.0f} s"}
    if process.returncode:
        return {"name": name, "outcome": errors.strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def sizes(smallest: int, largest: int, known: list[dict[str, Any]]) -> dict[str, Any]:
    """Single molecules of sizes from ``smallest`` to ``largest``, C60 and β-carotene; exponents.

    Rows ``known`` of other sizes are kept.
    """
    names = ["C60", "beta-carotene"] if smallest <= 60 else []
    names += [f"{f}-{size}" for size in SIZES if smallest <= size <= largest for f in FAMILIES]
    rows = [row for row in known if row["name"] not in names]
    for name in names:
        row = in_own_process(name)
        print(json.dumps(row), flush=True)
        rows.append(row)
    return {"molecules": rows, "exponents": exponents(rows)}


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Powers of the number of atoms with which processor time grows, by family, from 128 atoms."""
    found = {}
    for family in FAMILIES:
        points = [
            (r["n_atoms"], r["cpu_s"])
            for r in rows
            if r["name"].startswith(family) and r.get("n_atoms", 0) >= 120
        ]
        if len(points) > 1:
            n, t = np.log(np.array(points)).T
            found[family] = float(np.polyfit(n, t, 1)[0])
    return found


def largest() -> dict[str, Any]:
    """The largest molecules, on all cores."""
    rows = {}
    for family in FAMILIES:
        row = in_own_process(f"{family}-{max(SIZES)}", os.cpu_count() or 1)
        print(json.dumps(row), flush=True)
        rows[family] = row
    return rows


def profile() -> dict[str, Any]:
    """Where the time of typical molecules goes, and the floor: one eigh and one network pass."""
    import esml

    model = esml.load_model()
    found = {}
    for label, batch in (("one", typical()[:1]), ("batch of 16", (typical() * 2)[:16])):
        found[label] = stages(model, batch)
        print(label, json.dumps(found[label], indent=1, ensure_ascii=False), flush=True)
    return found


def stages(model: Any, batch: list[Atoms]) -> dict[str, float]:
    """Processor time of the stages of one batch, s per molecule."""
    import torch

    from esml.model.pairs import Pairs, species
    from esml.model.tensors import switch
    from esml.physics import orbitals
    from esml.physics.excitations import singlets, triplets
    from esml.physics.response import Response
    from esml.predict.batching import Wanted
    from esml.predict.solution import in_double

    torch.set_num_threads(1)
    h, precision = model.hamiltonian, torch.float32
    with torch.no_grad():
        graph = model.graph(batch)
        kinds, pairs = species(graph.numbers), Pairs.of(graph)
        near = switch(pairs.distance, h.config.pair_onset, h.config.pair_cutoff)
        features = h.network(pairs, kinds)
        baseline = h.baseline[kinds][:, :3]
        operators = in_double(h(graph))
        layout = operators.layout
        sizes = layout.n_orbitals, layout.n_occupied
        found = orbitals.diagonalize(operators.hamiltonian, *sizes)
        response = Response(found, operators.interaction, layout)
        runs: dict[str, Callable[[], Any]] = {
            "graph": lambda: model.graph(batch),
            "network": lambda: h.network(pairs, kinds),
            "blocks": lambda: h.blocks(features, pairs, graph.edge_reverse, near, kinds, baseline),
            "Hamiltonian (network, blocks, assembly, far exchange)": lambda: h(graph),
            "orbitals": lambda: orbitals.diagonalize(operators.hamiltonian, *sizes),
            "singlets": lambda: singlets(response, operators.dipole, N_STATES, precision),
            "triplets": lambda: triplets(response, N_STATES, precision),
            "eigh alone": lambda: torch.linalg.eigh(operators.hamiltonian),
            "predict": lambda: model._solve(batch, Wanted(N_STATES, 1)),
            "predict, 10 triplets": lambda: model._solve(batch, Wanted(N_STATES)),
        }
        times = {name: t / len(batch) for name, t in side_by_side(runs, 30).items()}
    floor = times["eigh alone"] + times["network"] + times["blocks"]
    over = {f"{n} / floor": times[n] / floor for n in ("predict", "predict, 10 triplets")}
    return times | {"floor": floor} | over


def tddft() -> dict[str, dict[str, float]]:
    """Ten singlets of styrene at the labels' level as PySCF gives them, nothing truncated."""
    from pyscf import dft, lib, tdscf

    from reference.scf import Level, molecule

    lib.num_threads(1)
    level = Level()
    styrene = molecule(typical()[TYPICAL.index("C=Cc1ccccc1")], level.basis)

    def run() -> None:
        ground = dft.RKS(styrene, xc=level.functional).run()
        tdscf.TDDFT(ground).run(nstates=N_STATES).oscillator_strength()

    return {"styrene": timed(run)}


def peers(n_labels: int) -> dict[str, Any]:
    """Typical molecules: batched and single beside PySCF labels, MOPAC and Sparrow."""
    import torch

    import esml
    from scripts.accuracy.peers import PeerError, run_mopac_indo, run_sparrow_td_dftb

    torch.set_num_threads(1)
    model = esml.load_model()
    structures = typical()
    many = []
    for seed in range(13):
        for atoms in structures:
            copy = atoms.copy()
            copy.rattle(0.02, seed=seed)
            many.append(copy)
    list(model.predict_many(many[:20], N_STATES))
    # Interleaved, so that what else the machine does meets everyone alike.
    ours = ("batched", "single", "batched, 10 triplets", "single, 10 triplets")
    found: dict[str, list[float]] = {name: [] for name in (*ours, "mopac", "sparrow")}
    failures: dict[str, str] = {}
    for atoms in structures:
        for name, n_triplets in zip(ours[::2], (1, N_STATES), strict=True):
            stream = model.predict_many(many, N_STATES, "return", n_triplets=n_triplets)
            found[name].append(timed(lambda s=stream: list(s))["cpu_s"] / len(many))  # type: ignore[misc]
        for name, n_triplets in zip(ours[1::2], (1, N_STATES), strict=True):

            def one(atoms: Atoms = atoms, n_triplets: int = n_triplets) -> None:
                model.predict(atoms, N_STATES, n_triplets=n_triplets)

            found[name].append(fine(one, 5))
        for name, run in (("mopac", run_mopac_indo), ("sparrow", run_sparrow_td_dftb)):
            try:
                found[name].append(timed(lambda a=atoms, r=run: r(a, N_STATES))["cpu_s"])  # type: ignore[misc]
            except PeerError as error:
                failures[name] = str(error)
        print({name: values[-1] for name, values in found.items() if values}, flush=True)
    labels = []
    if n_labels:
        from reference.record import make_record
        from reference.scf import Level

        for atoms in structures[:n_labels]:
            labels.append(timed(lambda a=atoms: make_record(a, Level()))["cpu_s"])  # type: ignore[misc]
            print("label", labels[-1], flush=True)
    means = {name: float(np.median(values)) for name, values in found.items() if values}
    if labels:
        means["label"] = float(np.median(labels))
    ratios = {
        f"{name} / {kind}": means[name] / means[kind]
        for name in ("label", "mopac", "sparrow")
        for kind in ours
        if name in means
    }
    return {"median_cpu_s": means, "ratios": ratios, "failures": failures}


def stream(n_molecules: int) -> dict[str, Any]:
    """``esml predict`` on a file of many small molecules: memory and throughput along the way."""
    import psutil
    from ase.io import write

    units = [molecule(name) for name in ("H2CO", "CH3CHO", "C2H4", "HCN", "CH3SH", "H2O", "C6H6")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.xyz"
        with path.open("w") as file:
            for index in range(n_molecules):
                atoms = units[index % len(units)].copy()
                atoms.rattle(0.02, seed=index)
                write(file, atoms, format="extxyz")
        output = Path(folder) / "many.h5"
        command = [sys.executable, "-m", "esml", "predict", str(path), "-o", str(output)]
        process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        watched = psutil.Process(process.pid)
        samples = []
        while process.poll() is None:
            try:
                times = watched.cpu_times()
                samples.append(
                    (times.user + times.system, watched.memory_info().rss / 2**20, _written(output))
                )
            except (psutil.Error, OSError):
                break
            time.sleep(1.0)
        process.wait()
    cpu, rss, written = np.array(samples).T
    steady = written > 0.1 * n_molecules
    third = [np.searchsorted(written, f * n_molecules) for f in (0.1, 0.4, 0.65, 0.95)]
    rate = [
        float((written[b] - written[a]) / (cpu[b] - cpu[a]))
        for a, b in ((third[0], third[1]), (third[2], min(third[3], len(cpu) - 1)))
    ]
    return {
        "n_molecules": n_molecules,
        "memory_MB": [float(rss[steady].min()), float(rss[steady].max())],
        "molecules_per_cpu_s": {"beginning": rate[0], "end": rate[1]},
        "cpu_s": float(cpu[-1]),
    }


def startup(n_pairs: int = 8) -> dict[str, float]:
    """``esml spectrum`` on a small file beside the imports it cannot do without, medians."""
    from ase.io import write

    times: dict[str, list[float]] = {"spectrum": [], "imports": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acetaldehyde.xyz"
        write(path, molecule("CH3CHO"))
        commands = {
            "spectrum": ("-m", "esml", "spectrum", str(path)),
            "imports": ("-c", "import torch, ase.io"),
        }
        for _ in range(n_pairs):
            for name, command in commands.items():
                begin = _cpu()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                times[name].append(_cpu() - begin)
    ratios = np.divide(times["spectrum"], times["imports"])
    return {
        "spectrum_cpu_s": float(np.median(times["spectrum"])),
        "imports_cpu_s": float(np.median(times["imports"])),
        "ratio": float(np.median(ratios)),
    }


def _written(output: Path) -> int:
    import h5py

    from esml.export import part_path

    path = part_path(output) if part_path(output).exists() else output
    if not path.exists():
        return 0
    try:
        with h5py.File(path, "r", swmr=True) as file:
            return int(file["counts"][0])
    except (OSError, KeyError):
        return 0


def crossover() -> dict[str, Any]:
    """Dense against iterative solver, singlets and triplets, molecules of growing size."""
    import esml

    model = esml.load_model()
    names = ("H2CO", "C2H4", "CH3CHO", "C2H6", "CH3COCH3", "C4H4O", "C5H5N", "C6H6")
    rows = {}
    for n_batch in (1, 16):
        for name in names:
            row = solvers(model, [molecule(name)] * n_batch)
            rows[f"{name}, batch of {n_batch}"] = row
            print(name, n_batch, row, flush=True)
    return rows


def solvers(model: Any, batch: list[Atoms]) -> dict[str, float]:
    """Processor time of both solvers, s per molecule."""
    import torch

    from esml.physics import Response, Strategy, orbitals, singlets_and_triplets
    from esml.predict.solution import in_double

    torch.set_num_threads(1)
    with torch.no_grad():
        operators = in_double(model.hamiltonian(model.graph(batch)))
        layout = operators.layout
        found = orbitals.diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        response = Response(found, operators.interaction, layout)
        wanted = operators.dipole, N_STATES, N_STATES, torch.float32
        row: dict[str, float] = {"singles": int(response.n_available[0])}
        for kind, limit in (("dense", 10**9), ("iterative", 0)):
            strategy = Strategy(dense=limit, dense_per_state=limit)
            both = partial(singlets_and_triplets, response, *wanted, strategy=strategy)
            row[kind] = fine(both, 7) / len(batch)
    return row


def gpu() -> dict[str, Any]:
    """Molecules per second against batch size on a GPU; nothing where there is none."""
    import torch

    import esml
    from esml.predict.batching import Wanted

    if not torch.cuda.is_available():
        print("no GPU here")
        return {}
    model = esml.load_model(device="cuda")
    rows = {}
    for size in (1, 4, 16, 64, 256):
        batch = (typical() * (1 + size // len(TYPICAL)))[:size]

        def run(batch: list[Atoms] = batch) -> None:
            model._solve(batch, Wanted(N_STATES))
            torch.cuda.synchronize()

        run()
        rows[size] = size / timed(run, 3)["wall_s"]
        print(size, f"{rows[size]:.1f} molecules/s", flush=True)
    return {"device": torch.cuda.get_device_name(), "molecules_per_s": rows}


def plot(results: dict[str, Any], picture: Path) -> None:
    """Time and memory against size."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.0), layout="constrained")
    for family, marker in zip(FAMILIES, "osd", strict=True):
        rows = [
            r
            for r in [*results["sizes"]["molecules"], *results.get("largest", {}).values()]
            if r["name"].startswith(family) and "cpu_s" in r
        ]
        n = [r["n_atoms"] for r in rows]
        left.loglog(n, [r["cpu_s"] for r in rows], marker=marker, label=family)
        right.loglog(n, [r["peak_MB"] for r in rows], marker=marker, label=family)
    styles = {
        "batch": ("tab:gray", "esml, in batches"),
        "sparrow": ("tab:red", "Sparrow, TD-DFTB3"),
        "mopac": ("tab:purple", "MOPAC, INDO/S"),
        "label": ("black", "PySCF, labels"),
    }
    for program, (color, label) in styles.items():
        # One line for all families, geometric means of what was done.
        points = []
        for size in SIZES:
            done = [
                (r["n_atoms"], r["cpu_s"])
                for r in results.get("beside", [])
                if (r["program"], r["outcome"]) == (program, "ok")
                and r["name"].endswith(f"-{size}")
            ]
            if done:
                points.append(np.exp(np.log(done).mean(0)))
        if points:
            left.loglog(*np.array(points).T, "--", marker=".", color=color, label=label)
    left.set(
        xlabel="atoms",
        ylabel="processor time, s",
        title=f"{N_STATES} singlets with strengths",
    )
    right.set(xlabel="atoms", ylabel="peak memory, MB")
    left.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = "sizes, beside, largest, profile, peers, startup, stream, tddft, crossover, gpu, plot"
    parser.add_argument("parts", nargs="+", metavar="PART", help=parts)
    parser.add_argument("--json", type=Path, help="file to add the results to")
    parser.add_argument("--picture", type=Path, default=Path("speed.png"))
    parser.add_argument("--smallest", type=int, default=0, help="atoms, of sizes")
    parser.add_argument("--largest", type=int, default=max(SIZES) // 2, help="atoms, of sizes")
    parser.add_argument("--labels", type=int, default=10, help="PySCF labels to compute")
    parser.add_argument("--molecules", type=int, default=10_000, help="of the stream")
    options = parser.parse_args()
    if options.parts[0] == "single":
        name, *rest = options.parts[1:]
        whole = not rest or rest[0].isdigit()
        row = single(name, *map(int, rest)) if whole else foreign(name, rest[0])
        print(json.dumps(row))
        return
    results: dict[str, Any] = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())
    runs: dict[str, Callable[[], Any]] = {
        "sizes": lambda: sizes(
            options.smallest, options.largest, results.get("sizes", {}).get("molecules", [])
        ),
        "beside": beside,
        "largest": largest,
        "profile": profile,
        "peers": lambda: peers(options.labels),
        "tddft": tddft,
        "startup": startup,
        "stream": lambda: stream(options.molecules),
        "crossover": crossover,
        "gpu": gpu,
    }
    for part in options.parts:
        if part == "plot":
            plot(results, options.picture)
            continue
        results[part] = runs[part]()
        results["machine"] = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
        if {"sizes", "largest"} <= results.keys():
            rows = [*results["sizes"]["molecules"], *results["largest"].values()]
            results["exponents"] = exponents([r for r in rows if "cpu_s" in r])
        if options.json:
            options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        else:
            print(json.dumps(results[part], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
