"""Fill the section on dyes of docs/physics-and-scaling.md with the shipped model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import esml
from esml.analysis.characters import Character
from esml.io.records import Record, read
from esml.results import Result
from esml.training.targets import structure
from scripts import ROOT
from scripts.pages import fill, table

DYES = ("trans-azobenzene", "DMABN", "merocyanine-C7")
"""Records of data/extrapolation."""
N_DYE_STATES = 4


def describe(model: str, page: Path) -> None:
    """Fill the section on dyes with predictions of the Hamiltonian model ``model``."""
    surrogate = esml.load_model(model)
    records = {r.name: r for r in read(ROOT / "data" / "extrapolation")}
    parts = []
    for name in DYES:
        result = surrogate.predict(structure(records[name]), n_states=N_DYE_STATES)
        parts.append(dye(name, records[name], result))
    fill(page, {"dyes": "\n\n".join(parts)})
    print(f"{page}: {len(DYES)} dyes")


def dye(name: str, record: Record, result: Result) -> str:
    """Format the states of one dye, beside the label's energies and strengths."""
    characters = result.characters()
    label = {
        kind: [f"{e:.2f} ({f:.2f})" for e, f in zip(*values, strict=True)]
        for kind, values in (("singlets", (record.singlet_energies, record.singlet_strengths)),)
    }
    columns: tuple[tuple[str, Callable[[int, Character], str]], ...] = (
        ("state", lambda i, c: f"S{i + 1}"),
        ("E, eV (f)", lambda i, c: energy(result, i)),
        ("label's S of that rank", lambda i, c: ([*label["singlets"], *["–"] * 9])[i]),
        ("what it is", lambda i, c: c.description),
        ("electrons moved", lambda i, c: f"{c.moved:.2f}"),
        ("hole to electron, Å", lambda i, c: f"{c.centroid_distance:.1f}"),
        ("NTO pairs", lambda i, c: f"{c.participation:.1f}"),
    )
    rows = [[make(i, c) for _, make in columns] for i, c in enumerate(characters)]
    text = [
        f"**{name}** (`{record.smiles}`): HOMO {result.homo:.2f} eV, LUMO {result.lumo:.2f} eV.",
        table([head for head, _ in columns], rows),
    ]
    bright = int(np.argmax(result.singlets.oscillator_strengths))
    text.append(matrix(bright, characters[bright]))
    return "\n\n".join(text)


def energy(result: Result, state: int) -> str:
    states = result.singlets
    return f"{states.energies[state]:.2f} ({states.oscillator_strengths[state]:.2f})"


def matrix(state: int, character: Character) -> str:
    """Describe from which fragments to which the brightest state moves its electron."""
    transfer, names = character.transfer, character.fragments
    order = np.dstack(np.unravel_index(np.argsort(-transfer, axis=None), transfer.shape))[0][:3]
    shares = [
        f"{names[i]} → {names[j]} {transfer[i, j]:.0%}"
        if i != j
        else f"within {names[i]} {transfer[i, j]:.0%}"
        for i, j in order
        if transfer[i, j] >= 0.05
    ]
    return f"Its brightest state, S{state + 1}: {', '.join(shares)}."
