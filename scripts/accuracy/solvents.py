"""Compare predicted solvent shifts with those of a continuum at the level of the labels.

    python -m scripts.accuracy.solvents data/solvents/shifts.json

The shift of a state is its energy in a solvent minus that in vacuum. S1 and the brightest of the
lowest singlets below 8 eV are compared with the reference (IEF-PCM, linear response, at the same
geometry). A reference state in solvent is identified with the state in vacuum of largest overlap; a
predicted state is paired with the reference by rank (S1) or strength (brightest). Pairs whose
energies in vacuum differ by more than 0.5 eV, or whose strengths do not fit, are different states
(for example Rydberg states); they are counted and left out. The baseline is no shift at all.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

import esml
from esml.results import Result

HIGHEST = 8.0
"""Highest energy (eV) of a brightest state."""

SAME_ENERGY = 0.5
"""Largest difference of energies in vacuum (eV) at which states are compared."""

SAME_STRENGTH = 0.15
"""Largest difference of the roots of oscillator strengths at which states are compared."""

LIKE = 0.7
"""Smallest overlap of transition densities of the same state in solvent and in vacuum."""

NOTABLE = 0.05
"""Smallest shift (eV) whose sign is compared."""


@dataclass(frozen=True)
class Shift:
    """Shift of a state of a molecule in a medium, eV."""

    molecule: str
    charge: int
    medium: str
    state: str
    reference: float
    predicted: float


def atoms_of(entry: dict[str, Any]) -> Atoms:
    return Atoms(entry["numbers"], entry["positions"], info={"charge": entry["charge"]})


def _same(reference: dict[str, Any], vacuum: Result, theirs: int, ours: int) -> bool:
    """Whether a state of the ``reference`` in vacuum and a predicted one are alike."""
    energy = vacuum.singlets.energies[ours] - reference["singlets"][theirs]
    strengths = vacuum.singlets.oscillator_strengths[ours], reference["strengths"][theirs]
    return bool(
        abs(energy) < SAME_ENERGY
        and abs(np.diff(np.sqrt(np.maximum(strengths, 0))))[0] < SAME_STRENGTH
    )


def _brightest(energies: Any, strengths: Any) -> int:
    below = np.asarray(energies) < HIGHEST
    return int(np.argmax(np.where(below, strengths, -1.0)))


def shifts_of(
    entry: dict[str, Any],
    reference: dict[str, Any],
    vacuum: Result,
    media: Iterable[tuple[str, dict[str, Any], Result]],
) -> list[Shift]:
    """Return the shifts of one molecule that can be compared.

    Parameters
    ----------
    entry:
        The molecule.
    reference, vacuum:
        Its reference and the prediction in vacuum.
    media:
        Name, reference and prediction in each medium.
    """
    chosen = {
        "S1": (0, 0),
        "brightest": (
            _brightest(reference["singlets"], reference["strengths"]),
            _brightest(vacuum.singlets.energies, vacuum.singlets.oscillator_strengths),
        ),
    }
    found = []
    for name, medium, result in media:
        likeness = np.array(medium["likeness"])  # (in the medium, in vacuum)
        overlap = _overlap(vacuum, result)
        for state, (theirs, ours) in chosen.items():
            there, here = int(likeness[:, theirs].argmax()), int(overlap[:, ours].argmax())
            alike = likeness[there, theirs] > LIKE and overlap[here, ours] > LIKE
            if not alike or not _same(reference, vacuum, theirs, ours):
                continue
            found.append(
                Shift(
                    entry["name"],
                    entry["charge"],
                    name,
                    state,
                    medium["singlets"][there] - reference["singlets"][theirs],
                    float(result.singlets.energies[here] - vacuum.singlets.energies[ours]),
                )
            )
    return found


def _overlap(vacuum: Result, result: Result) -> Any:
    """Return |overlap| of transition densities, (in solvent, in vacuum)."""

    def densities(r: Result) -> Any:
        states = r.singlets
        assert r.coefficients is not None
        assert states.X is not None
        assert states.Y is not None
        both = states.X + states.Y
        occupied, virtual = r.coefficients[:, : r.n_occupied], r.coefficients[:, r.n_occupied :]
        flat = np.einsum("mi,sia,na->smn", occupied, both, virtual, optimize=True)
        flat = flat.reshape(len(both), -1)
        return flat / np.linalg.norm(flat, axis=1)[:, None]

    return np.abs(densities(result) @ densities(vacuum).T)


def summary(shifts: list[Shift]) -> str:
    """Format one line: count, mean errors, signs."""
    reference, predicted = (
        np.array([getattr(s, k) for s in shifts]) for k in ("reference", "predicted")
    )
    error = predicted - reference
    notable = np.abs(reference) > NOTABLE
    right = np.sign(predicted[notable]) == np.sign(reference[notable])
    signs = f"{100 * right.mean():.0f} % of {notable.sum()}" if notable.any() else "–"
    return (
        f"{len(shifts):4d} {np.abs(error).mean():8.3f} {error.mean():+8.3f} "
        f"{np.abs(reference).mean():9.3f} {signs:>14}"
    )


def table(shifts: list[Shift], n_molecules: int) -> str:
    """Format the figures by state, medium and charge."""
    compared = {(s.molecule, s.state) for s in shifts}
    lines = [f"{n_molecules} molecules; {len(compared)} of {2 * n_molecules} states compared"]
    lines += [f"{'':<24}   n     |Δ|     mean  no shift     right sign"]
    groups: dict[str, list[Shift]] = defaultdict(list)
    for shift in shifts:
        groups["all"].append(shift)
        groups[shift.state].append(shift)
        groups[f"{shift.state}, {'ions' if shift.charge else 'neutral'}"].append(shift)
        groups[f"{shift.state}, {shift.medium}"].append(shift)
    return "\n".join([*lines, *(f"{name:<24}{summary(groups[name])}" for name in sorted(groups))])


def solvent_shifts(
    model: esml.Surrogate,
    molecules: Iterable[dict[str, Any]],
    solvents: dict[str, tuple[float, float]],
) -> list[Shift]:
    """Return the shifts of all ``molecules`` in ``solvents``, given by ε and n."""
    shifts: list[Shift] = []
    for entry in molecules:
        atoms, there = atoms_of(entry), entry["media"]
        media = (
            (name, there[name], model.predict(atoms, 8, solvent=esml.Solvent(*values)))
            for name, values in solvents.items()
        )
        shifts += shifts_of(entry, there["vacuum"], model.predict(atoms, 8), media)
    return shifts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="camb3lyp")
    parser.add_argument("--each", action="store_true", help="print every shift in water")
    args = parser.parse_args()
    data = json.loads(args.data.read_text())
    model = esml.load_model(args.model, dtype=torch.float64)
    shifts = solvent_shifts(model, data["molecules"], data["solvents"])
    for s in shifts if args.each else ():
        if s.medium == "water":
            print(f"{s.molecule:<28}{s.state:<10}{s.reference:+8.3f}{s.predicted:+8.3f}")
    print(table(shifts, len(data["molecules"])))


if __name__ == "__main__":
    main()
