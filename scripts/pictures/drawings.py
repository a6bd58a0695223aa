"""Draw pictures for tutorials whose scripts draw none, from the files that they wrote."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt
from ase.build import molecule
from ase.optimize import BFGS
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import esml
from esml.io import read_structure
from scripts import ROOT
from scripts.pictures.axes import plain_numbers


def wide(n: int = 1) -> tuple[Figure, list[Axes]]:
    """Make an empty picture of ``n`` panels."""
    figure, axes = plt.subplots(1, n, figsize=(4.2 * max(n, 1.3), 3.4), layout="constrained")
    return figure, list(np.atleast_1d(axes))


def screening(folder: Path) -> Figure:
    """Plot wavelength and strength of every dye's brightest state, and the wanted range."""
    with open(folder / "screening.csv", newline="", encoding="utf-8") as file:
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


def scf_guess(_: Path) -> Figure:
    """Plot the deviation from the converged energy per iteration, for two guesses."""
    from pyscf import gto, scf

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


def surfaces(_: Path) -> Figure:
    """Plot S0 and S1 of formaldehyde along its C=O bond, from the geometry of the page's script."""
    from tblite.ase import TBLite

    model = esml.load_model()
    relaxed = molecule("H2CO")
    relaxed.calc = TBLite(method="GFN2-xTB", verbosity=0)
    BFGS(relaxed, logfile=None).run(fmax=0.03, steps=100)
    lengths = np.union1d(np.linspace(1.08, 1.55, 25), [relaxed.get_distance(0, 1)])
    ground, excited = [], []
    for length in lengths:
        atoms = relaxed.copy()
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


def training(folder: Path) -> Figure:
    """Plot errors of excitation energies per epoch, from the ``log.csv`` of the run."""
    with open(folder / "my-model" / "run" / "log.csv", newline="", encoding="utf-8") as file:
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


def cluster(_: Path) -> Figure:
    """Draw the flow of data when structures are predicted on a cluster."""
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


DRAWINGS: dict[str, Callable[[Path], Figure]] = {
    "cluster": cluster,
    "scf-guess": scf_guess,
    "screening": screening,
    "surfaces": surfaces,
    "training": training,
}
"""Functions by picture name; each draws from the folder in which its page's commands ran."""
