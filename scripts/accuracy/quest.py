"""The QUEST MAIN benchmark of vertical excitation energies, and matching of states to it.

A file of best estimates lists molecules: {name, charge, symbols, positions_angstrom, states}, and
a state is {multiplicity, kind, type, tbe_avtz_eV, safe, f_lr_cc3}, of kind V (valence), R (Rydberg)
or M (mixed). The valence nπ* and ππ* states of neutral molecules are scored. The k-th valence or
mixed state in the list is compared with the k-th computed state of its multiplicity. Rydberg states
are left out on both sides, doubly excited states (which linear response lacks) from the list. The
list contains degenerate states once, so degenerate computed states are joined first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from esml.io.records import Record, iterate

if TYPE_CHECKING:
    from reference.scf import Level

SCORED = {"npi": "nπ*", "ppi": "ππ*"}
"""Types of state that are scored."""

DEGENERATE = 0.003
"""Energy difference (eV) below which two states are one degenerate state, if the molecule can have
any. A coarse response grid splits them by less than 0.001 eV; triazine's distinct nπ* states are
0.009 eV apart."""

LEAST_WEIGHT = 0.85
"""Smallest valence weight of a label state that counts as valence."""

WINDOW = 1.5
"""Largest distance (eV) of a computed brightest state from its best estimate."""

SMALL = 4
"""Largest number of heavy atoms of a small molecule."""

LEAST_STRENGTH = 0.1
"""Smallest oscillator strength of a bright state."""


class BenchmarkError(ValueError):
    """A file of best estimates cannot be read."""


@dataclass(frozen=True)
class BenchmarkMolecule:
    """A molecule of the benchmark."""

    name: str
    atoms: Atoms
    states: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Computed:
    """Valence states of one molecule from one method, ascending, degenerate ones repeated."""

    singlets: np.ndarray  # (S,) eV
    strengths: np.ndarray  # (S,)
    triplets: np.ndarray  # (T,) eV


@dataclass(frozen=True)
class Pair:
    """A best estimate and the computed state it is compared with."""

    molecule: str
    multiplicity: int
    type: str
    place: int  # among the valence states of this multiplicity, from 0
    safe: bool  # estimate believed within 0.05 eV
    estimate: float  # eV
    computed: float  # eV
    strengths: tuple[float, float] | None = None
    """Oscillator strengths from LR-CC3 and computed, for singlets with one in the list."""

    @property
    def state(self) -> tuple[str, int, int]:
        """Key that identifies the state."""
        return self.molecule, self.multiplicity, self.place


def load(path: str | Path) -> list[BenchmarkMolecule]:
    """Read the neutral molecules of the file, smallest first.

    Raises BenchmarkError if the file is missing or of another kind.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        found = [
            BenchmarkMolecule(
                entry["name"],
                Atoms(
                    entry["symbols"],
                    positions=entry["positions_angstrom"],
                    info={"name": entry["name"], "charge": 0, "split": "test"},
                ),
                tuple(entry["states"]),
            )
            for entry in entries
            if entry["charge"] == 0
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(
            f"{path} could not be read as best estimates ({error!r}): expected the JSON list of "
            "QUEST MAIN molecules; check the path"
        ) from error
    return sorted(found, key=lambda m: (int((m.atoms.numbers > 1).sum()), len(m.atoms)))


def may_be_degenerate(atoms: Atoms) -> bool:
    """Whether two principal moments of inertia agree: an axis of order three or more, or linear."""
    moments = np.sort(atoms.get_moments_of_inertia())
    return bool(np.min(np.diff(moments)) < 1e-3 * moments[-1])


def join_degenerate(
    energies: np.ndarray, strengths: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Join states nearer than ``DEGENERATE``; return energies and summed strengths."""
    if strengths is None:
        strengths = np.zeros(len(energies))
    joined: list[list[float]] = []
    for energy, strength in zip(energies, strengths, strict=True):
        if joined and energy - joined[-1][0] < DEGENERATE:
            joined[-1][1] += float(strength)
        else:
            joined.append([float(energy), float(strength)])
    table = np.array(joined).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def valence_of(record: Record) -> Computed:
    """Return the valence states among the labels of ``record``."""
    singlet = record.singlet_valence_weights >= LEAST_WEIGHT
    triplet = record.triplet_valence_weights >= LEAST_WEIGHT
    return Computed(
        record.singlet_energies[singlet].astype(float),
        record.singlet_strengths[singlet].astype(float),
        record.triplet_energies[triplet].astype(float),
    )


def labels(
    molecules: Sequence[BenchmarkMolecule], directory: str | Path, level: Level | None = None
) -> dict[str, Record]:
    """Return records of ``molecules`` by name at ``level``; compute those not in ``directory``.

    Molecules that the label level cannot treat are missing (see its failures.jsonl).
    """
    from reference.generate import generate
    from reference.record import content_key
    from reference.scf import Level

    level = level or Level()
    generate([m.atoms for m in molecules], directory, level)
    names = {content_key(m.atoms, level): m.name for m in molecules}
    return {names[r.key]: r for r in iterate(directory) if r.key in names}


def listed(molecule: BenchmarkMolecule, multiplicity: int) -> list[dict[str, Any]]:
    """Return valence and mixed states of ``molecule`` without double excitations, ascending."""
    states = [
        s
        for s in molecule.states
        if s["multiplicity"] == multiplicity and s["kind"] in "VM" and s["type"].strip() != "dou"
    ]
    return sorted(states, key=lambda s: float(s["tbe_avtz_eV"]))


def scored(
    molecule: BenchmarkMolecule, multiplicity: int
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield index, type and entry of the nπ* and ππ* valence states among those ``listed``."""
    for place, state in enumerate(listed(molecule, multiplicity)):
        kind = state["type"].strip()
        if kind in SCORED and state["kind"] == "V":
            yield place, kind, state


def match(molecule: BenchmarkMolecule, computed: Computed) -> list[Pair]:
    """Pair the scored states of ``molecule`` with the computed states of the same rank.

    States that were not computed are left out.
    """
    degenerate = may_be_degenerate(molecule.atoms)
    pairs = []
    for multiplicity, energies, strengths in (
        (1, computed.singlets, computed.strengths),
        (3, computed.triplets, np.full(len(computed.triplets), np.nan)),
    ):
        if degenerate:
            energies, strengths = join_degenerate(energies, strengths)
        for place, kind, state in scored(molecule, multiplicity):
            if place >= len(energies):
                break
            at_cc3 = state["f_lr_cc3"] if multiplicity == 1 else None
            pairs.append(
                Pair(
                    molecule.name,
                    multiplicity,
                    kind,
                    place,
                    state["safe"] == "Y",
                    float(state["tbe_avtz_eV"]),
                    float(energies[place]),
                    None if at_cc3 is None else (float(at_cc3), float(strengths[place])),
                )
            )
    return pairs


def brightest(molecule: BenchmarkMolecule, computed: Computed) -> Pair | None:
    """Pair the brightest listed singlet with the brightest one computed within ``WINDOW`` of it.

    Returns None if that singlet is not scored or too weak, or no bright state was computed there.
    """
    listed = [s for s in molecule.states if s["multiplicity"] == 1 and s["f_lr_cc3"] is not None]
    if not listed:
        return None
    best = max(listed, key=lambda s: float(s["f_lr_cc3"]))
    kind = best["type"].strip()
    if best["kind"] != "V" or kind not in SCORED or float(best["f_lr_cc3"]) < LEAST_STRENGTH:
        return None
    energies, strengths = computed.singlets, computed.strengths
    if may_be_degenerate(molecule.atoms):
        energies, strengths = join_degenerate(energies, strengths)
    estimate = float(best["tbe_avtz_eV"])
    near = np.flatnonzero((np.abs(energies - estimate) < WINDOW) & (strengths > LEAST_STRENGTH))
    if not len(near):
        return None
    index = int(near[np.argmax(strengths[near])])
    return Pair(molecule.name, 1, kind, -1, best["safe"] == "Y", estimate, float(energies[index]))


@dataclass(frozen=True)
class Deviations:
    """Statistics of computed minus estimated energies of one kind of state."""

    count: int
    mae: float  # eV
    mean: float  # eV
    median: float  # eV, of the absolute deviations

    @classmethod
    def of(cls, errors: Sequence[float] | np.ndarray) -> Deviations:
        values = np.asarray(errors, dtype=float)
        if not len(values):
            return cls(0, float("nan"), float("nan"), float("nan"))
        size = np.abs(values)
        return cls(len(values), float(size.mean()), float(values.mean()), float(np.median(size)))


ROWS: dict[str, Callable[[Pair], bool]] = {
    "S1": lambda p: p.multiplicity == 1 and p.place == 0,
    "T1": lambda p: p.multiplicity == 3 and p.place == 0,
    "singlets nπ*": lambda p: p.multiplicity == 1 and p.place >= 0 and p.type == "npi",
    "singlets ππ*": lambda p: p.multiplicity == 1 and p.place >= 0 and p.type == "ppi",
    "singlets nπ* and ππ*": lambda p: p.multiplicity == 1 and p.place >= 0,
    "triplets nπ* and ππ*": lambda p: p.multiplicity == 3,
    "brightest": lambda p: p.place < 0,
}
"""Selection of pairs for each row of a table."""


def pairs_of(molecules: Iterable[BenchmarkMolecule], computed: dict[str, Computed]) -> list[Pair]:
    """Return all pairs of the molecules in ``computed`` (by name)."""
    pairs: list[Pair] = []
    for molecule in molecules:
        if molecule.name in computed:
            pairs.extend(match(molecule, computed[molecule.name]))
            if bright := brightest(molecule, computed[molecule.name]):
                pairs.append(bright)
    return pairs


def shared(pairs: dict[str, list[Pair]], names: Sequence[str]) -> dict[str, list[Pair]]:
    """Keep only the pairs of states that all methods in ``names`` have."""
    common = set.intersection(*({p.state for p in pairs[name]} for name in names))
    return {name: [p for p in pairs[name] if p.state in common] for name in names}


def table(pairs: Sequence[Pair]) -> dict[str, Deviations]:
    """Return the deviations for each row of ``ROWS``."""
    return {
        name: Deviations.of([p.computed - p.estimate for p in pairs if chosen(p)])
        for name, chosen in ROWS.items()
    }


def by_kind_and_size(
    molecules: Iterable[BenchmarkMolecule], pairs: Sequence[Pair]
) -> dict[str, Deviations]:
    """Return deviations of nπ* and ππ* states, for up to ``SMALL`` and for more heavy atoms."""
    heavy = {m.name: int((m.atoms.numbers > 1).sum()) for m in molecules}
    groups = {}
    for multiplicity, spin in ((1, "singlets"), (3, "triplets")):
        for kind, sign in (("npi", "nπ*"), ("ppi", "ππ*")):
            for larger, size in ((False, f"up to {SMALL} heavy atoms"), (True, f"above {SMALL}")):
                groups[f"{spin} {sign}, {size}"] = Deviations.of(
                    [
                        p.computed - p.estimate
                        for p in pairs
                        if (p.multiplicity, p.type, heavy[p.molecule] > SMALL)
                        == (multiplicity, kind, larger)
                        and p.place >= 0
                    ]
                )
    return groups


def strengths(pairs: Sequence[Pair]) -> dict[str, Deviations]:
    """Return deviations of oscillator strengths from LR-CC3, for all and for bright singlets."""
    known = [p.strengths for p in pairs if p.place >= 0 and p.strengths is not None]
    return {
        name: Deviations.of([found - at_cc3 for at_cc3, found in known if at_cc3 >= least])
        for name, least in (("f", 0.0), (f"f above {LEAST_STRENGTH}", LEAST_STRENGTH))
    }


def format_tables(tables: dict[str, dict[str, Deviations]]) -> str:
    """Format rows by method: MAE / mean error / median absolute error (count)."""
    width = max(len(name) for name in ROWS) + 2
    lines = [" " * width + "".join(f"{name:>30}" for name in tables)]
    for row in ROWS:
        line = f"{row:<{width}}"
        for values in tables.values():
            d = values[row]
            cell = f"{d.mae:.2f} / {d.mean:+.2f} / {d.median:.2f} ({d.count})" if d.count else "–"
            line += f"{cell:>30}"
        lines.append(line)
    return "\n".join(lines)
