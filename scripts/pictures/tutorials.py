"""Pictures of the tutorials: what the scripts of ``examples/`` draw, and what is drawn of them.

    python -m scripts.pictures.tutorials docs/figures/tutorials [--only NAME ...] [--quick]

All of them take half an hour of one core, most of it for 1,000 dyes, dynamics and the training of
a model; ``--quick`` takes a few of each instead. What the scripts print, as the tutorials quote it,
is printed, too. Needs the extras ``plot``, ``smiles`` and ``reference``.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt
from ase.build import molecule
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import esml
from esml.io import read_structure
from scripts.pictures.axes import plain_numbers

ROOT = Path(__file__).parents[2]

QUICK = {
    "embedding_loop": ("--steps", "20", "--every", "4", "--waters", "10"),
    "screening": ("-n", "100"),
    "thermal_spectrum": ("--steps", "60"),
    "train_your_own": ("--smoke",),
}
"""Arguments that shorten the scripts that take minutes."""


class Examples:
    """Scripts of ``examples/``, run in ``folder``."""

    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder, self.quick = folder, quick

    def run(self, name: str, *arguments: str) -> Path:
        """Run a script, show what it prints, and return the folder that it writes into."""
        given = (*arguments, *(QUICK.get(name, ()) if self.quick else ()))
        print(f"== {name} {' '.join(given)}".rstrip(), flush=True)
        subprocess.run(
            [sys.executable, "-m", f"examples.{name}", *given],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        return self.folder


def wide(n: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty picture of ``n`` panels."""
    figure, axes = plt.subplots(1, n, figsize=(4.2 * max(n, 1.3), 3.4), layout="constrained")
    return figure, list(np.atleast_1d(axes))


def screening(examples: Examples) -> Figure:
    """Wavelength and strength of the brightest state of every dye, and the range that is wanted."""
    with open(examples.run("screening") / "screening.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    nm = np.array([float(row["bright_nm"]) for row in rows])
    strength = np.array([float(row["strength"]) for row in rows])
    inside = (nm >= 320.0) & (nm <= 420.0)
    figure, (ax,) = wide()
    ax.axvspan(320.0, 420.0, color="#f28e2b", alpha=0.15, lw=0)
    ax.scatter(nm[~inside], strength[~inside], s=9, color="#9aa5b1", lw=0)
    ax.scatter(nm[inside], strength[inside], s=14, color="#b3541e", lw=0)
    ax.set(xlabel="brightest state (nm)", ylabel="oscillator strength", ylim=(0.0, None))
    ax.set_title(f"{len(rows)} dyes, {inside.sum()} between 320 and 420 nm", fontsize=10)
    return figure


def scf_guess(examples: Examples) -> Figure:
    """Distance of the energy from the converged one, iteration by iteration, for two guesses."""
    from pyscf import gto, scf

    examples.run("scf_guess")
    atoms = read_structure(ROOT / "examples" / "benzene.xyz").atoms
    placed = list(zip(atoms.symbols, atoms.positions, strict=True))
    mol = gto.M(atom=placed, basis="def2-svp", verbose=0)
    figure, (ax,) = wide()
    for name, marker in (("minao", "s"), ("esml", "o")):
        mf = scf.RHF(mol).density_fit()
        start = esml.pyscf_guess(mol) if name == "esml" else mf.get_init_guess(key=name)
        energies = [mf.energy_tot(start)]
        mf.callback = lambda state, energies=energies: energies.append(state["e_tot"])
        final = mf.kernel(dm0=start)
        distance = np.abs(np.array(energies) - final)
        shown = distance > 1e-9
        ax.semilogy(np.flatnonzero(shown), distance[shown], marker=marker, label=name)
    ax.set(xlabel="iteration", ylabel="|E − converged E| (hartree)")
    ax.set_title("Benzene, Hartree–Fock, def2-SVP", fontsize=10)
    ax.legend(frameon=False)
    return figure


def solution(examples: Examples) -> Path:
    """The spectrum of acetone in water and alone: what the example draws."""
    examples.run("embedding_loop")
    return examples.run("solvated_spectrum", "acetone.extxyz", "--atoms", "10") / "solvated.png"


def surfaces(examples: Examples) -> Figure:
    """S0 and S1 of formaldehyde along its C=O bond."""
    from tblite.ase import TBLite

    examples.run("excited_state_surface")
    model = esml.load_model()
    lengths = np.linspace(1.08, 1.55, 25)
    ground, excited = [], []
    for length in lengths:
        atoms = molecule("H2CO")
        atoms.set_distance(0, 1, length, fix=1)  # CH2 stays where it is
        excitation = model.predict(atoms, n_states=1).singlets.energies[0]
        atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
        ground.append(atoms.get_potential_energy())
        excited.append(ground[-1] + excitation)
    zero = min(ground)
    figure, (ax,) = wide()
    for energies, name, colour in ((ground, "S0", "#4e79a7"), (excited, "S1", "#e15759")):
        values = np.array(energies) - zero
        lowest = int(values.argmin())
        ax.plot(lengths, values, color=colour, label=name)
        ax.plot(lengths[lowest], values[lowest], "o", color=colour)
    for at, name, side in (
        (int(np.argmin(ground)), "absorption", "right"),
        (int(np.argmin(excited)), "emission", "left"),
    ):
        low, high = ground[at] - zero, excited[at] - zero
        ends = (high, low) if name == "absorption" else (low, high)
        arrow = {"arrowstyle": "->", "color": "#555555"}
        ax.annotate("", (lengths[at], ends[0]), (lengths[at], ends[1]), arrowprops=arrow)
        gap = 0.008 if side == "left" else -0.008
        ax.text(lengths[at] + gap, 0.5 * (low + high), f"{name}\n{high - low:.2f} eV", ha=side)
    ax.set(xlabel="C=O (Å), other coordinates fixed", ylabel="energy (eV)")
    ax.legend(frameon=False, loc="upper center")
    return figure


def training(examples: Examples) -> Figure:
    """Errors of excitation energies, epoch by epoch, from the ``log.csv`` of the run."""
    log = examples.run("train_your_own") / "my-model" / "run" / "log.csv"
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure, (ax,) = wide()
    for column, name in (
        ("energies", "training, all states"),
        ("s1_mae_eV", "validation, S1"),
        ("t1_mae_eV", "validation, T1"),
    ):
        points = [(int(r["epoch"]), float(r[column])) for r in rows if r[column] not in ("", "nan")]
        if points:
            ax.semilogy(*np.array(points).T, marker="o" if len(points) < 3 else "", label=name)
    plain_numbers(ax.yaxis)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel="mean absolute error (eV)")
    ax.legend(frameon=False)
    return figure


def cluster(_: Examples) -> Figure:
    """What goes where when structures are predicted on a cluster."""
    figure, ax = plt.subplots(figsize=(7.0, 2.6), layout="constrained")
    box = {"boxstyle": "round,pad=0.5", "fc": "#eef2f6", "ec": "#4e79a7"}
    arrow = {"arrowstyle": "->", "color": "#4e79a7", "shrinkA": 2, "shrinkB": 2}
    places = {
        "library/*.xyz": (0.0, 0.0),
        "esml predict": (1.0, 0.0),
        "scheduler": (2.0, 0.0),
        "predictions.h5": (1.0, -1.0),
        "worker, model": (3.0, 0.8),
        "worker, model ": (3.0, 0.0),
        "worker, model  ": (3.0, -0.8),
    }
    drawn = {
        name: ax.text(*at, name.strip(), ha="center", va="center", bbox=box)
        for name, at in places.items()
    }
    lines = [
        ("library/*.xyz", "esml predict", "->"),
        ("esml predict", "scheduler", "<->"),
        ("esml predict", "predictions.h5", "->"),
        *(("scheduler", name, "<->") for name in places if name.startswith("worker")),
    ]
    for start, end, style in lines:
        ends = {"patchA": drawn[start].get_bbox_patch(), "patchB": drawn[end].get_bbox_patch()}
        ax.annotate(
            "", places[end], places[start], arrowprops={**arrow, **ends, "arrowstyle": style}
        )
    ax.text(1.5, 0.12, "windows of\nstructures", ha="center", fontsize=8, color="#555555")
    ax.text(1.5, -0.12, "results,\nin order", ha="center", va="top", fontsize=8, color="#555555")
    ax.set(xlim=(-0.5, 3.5), ylim=(-1.3, 1.2))
    ax.axis("off")
    return figure


def spectrum(examples: Examples) -> Path:
    """The spectrum of p-nitroaniline: what the example draws."""
    return examples.run("spectrum_of_a_dye") / "p-nitroaniline.png"


def state(examples: Examples) -> Path:
    """Hole and electron of its brightest state: what the example draws."""
    (drawn,) = examples.run("read_a_state").glob("p-nitroaniline-S*.png")
    return drawn


def thermal(examples: Examples) -> Path:
    """The spectrum of pyridine at rest and in motion: what the example draws."""
    return examples.run("thermal_spectrum") / "pyridine.png"


PICTURES: dict[str, Callable[[Examples], Figure | Path]] = {
    "cluster": cluster,
    "scf-guess": scf_guess,
    "screening": screening,
    "solution": solution,
    "spectrum": spectrum,
    "state": state,
    "surfaces": surfaces,
    "thermal": thermal,
    "training": training,
}
"""By the name of the tutorial."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES))
    parser.add_argument("--quick", action="store_true", help="few molecules, frames and epochs")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        with TemporaryDirectory() as made:
            drawn = PICTURES[name](Examples(Path(made), options.quick))
            target = options.folder / f"{name}.png"
            if isinstance(drawn, Path):
                target = options.folder / drawn.name
                shutil.copy(drawn, target)
            else:
                drawn.savefig(target, dpi=150)
                plt.close(drawn)
        print(target, flush=True)


if __name__ == "__main__":
    main()
