"""Read outputs of PySCF, written with ``verbose=4`` or more.

A script may run many calculations. The last molecule of its output is read, at its last geometry,
with the last states calculated for each multiplicity.
"""

from __future__ import annotations

import re
from pathlib import Path

from ase.units import Hartree

from esml.io.formats.atom_tables import Table
from esml.io.formats.programs.calculation import CalculatedState, Calculation
from esml.io.formats.xyz import molecule
from esml.io.provenance import InputError
from esml.io.text import read_text

_ATOM = re.compile(r"^\[INPUT\]\s*\d+\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+AA\b", re.MULTILINE)
_STEP = re.compile(r"^Cartesian coordinates \(Angstrom\)\n.*\n", re.MULTILINE)
_MOVED = re.compile(r"\s*(\S+)" + r"\s+(-?\d+\.\d+)" * 3 + r"\b")
_COUNT = re.compile(r"^\[INPUT\] num\. atoms = (\d+)", re.MULTILINE)
_STATES = re.compile(
    r"(?:^\*+ <class '[\w.]*?(?P<method>\w+)'> for .*\n)?^nstates = \d+ (?P<mult>singlet|triplet)$",
    re.MULTILINE,
)
_ENERGIES = re.compile(r"^Excitation energies \(eV\)\n\[(.*?)\]", re.MULTILINE | re.DOTALL)
_ANALYSED = re.compile(
    r"^\*\* Singlet excitation energies and oscillator strengths \*\*\n(.*?)(?=^\*\*|\Z)",
    re.MULTILINE | re.DOTALL,
)
_STRENGTH = re.compile(r"^Excited State\s+\d+:.*?(\d+\.\d+) eV.*\bf=\s*([\d.]+)", re.MULTILINE)

ROUNDING = 2e-5
"""Largest difference (eV) of the same energy in the two lists."""


def read_pyscf(path: Path) -> Calculation:
    """Read the last molecule of an output of PySCF and its excited states.

    Raises InputError if the output has no geometry, or ends inside one.
    """
    text = read_text(path)
    counts = list(_COUNT.finditer(text))
    if not counts:
        raise InputError(
            f"'{path}', an output of PySCF, holds no geometry: expected one written with verbose=4 "
            "or more; write its geometry as .xyz"
        )
    text = text[counts[-1].start() :]
    rows, rest, steps = _last_geometry(text)
    if len(rows) != int(counts[-1][1]):
        raise InputError(
            f"'{path}', an output of PySCF, breaks off inside a geometry: {len(rows)} of "
            f"{counts[-1][1]} atoms are there; write its geometry as .xyz"
        )
    atoms, notes = molecule([row[0] for row in rows], [[float(x) for x in row[1:]] for row in rows])
    if steps:
        notes = (*notes, f"the last of {steps + 1} geometries of the output")
    atoms.info["multiplicity"] = 1 + _whole(text, r"spin \(= nelec alpha-beta = 2S\)")
    table = Table(atoms, path.stem, _whole(text, "charge"), "output of PySCF", notes)
    levels = re.findall(r"HOMO = (-?[\d.]+)\s+LUMO = (-?[\d.]+)", rest)
    frontier = (float(levels[-1][0]) * Hartree, float(levels[-1][1]) * Hartree) if levels else None
    methods, states = _states(rest)
    level = ", ".join((_level(text), *methods))
    return Calculation(f"{level} (PySCF)", table, states, frontier, "converged SCF energy" in rest)


def _last_geometry(text: str) -> tuple[list[tuple[str, ...]], str, int]:
    """Symbols and coordinates (Å), the text after them, and the number of steps before."""
    steps = list(_STEP.finditer(text))
    if not steps:
        return _ATOM.findall(text), text, 0
    rest = text[steps[-1].end() :]
    rows = []
    for line in rest.split("\n"):
        if not (match := _MOVED.match(line)):
            break
        rows.append(match.groups())
    return rows, rest, len(steps)


def _whole(text: str, key: str) -> int:
    match = re.search(rf"^\[INPUT\] {key} = (-?\d+)", text, re.MULTILINE)
    return int(match[1]) if match else 0


def _level(text: str) -> str:
    functional = re.search(r"^XC functionals? = (\S+)", text, re.MULTILINE)
    basis = re.search(r"^basis = (\S+)", text, re.MULTILINE)
    return "/".join(m[1] for m in (functional, basis) if m) or "calculation"


def _states(text: str) -> tuple[list[str], list[CalculatedState]]:
    """Methods and states of the last list of each multiplicity.

    Strengths are known only if ``analyze()`` wrote them.
    """
    bright = [
        (float(energy), float(strength))
        for table in _ANALYSED.findall(text)
        for energy, strength in _STRENGTH.findall(table)
    ]
    methods: dict[str, str] = {}
    found: dict[str, list[CalculatedState]] = {}
    headings = list(_STATES.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    for heading, end in zip(headings, ends[: len(headings)], strict=True):
        listed = _ENERGIES.search(text, heading.end(), end)
        if not listed:
            continue
        name, energies = heading["mult"], [float(energy) for energy in listed[1].split()]
        methods[name] = f"{heading['method']} {name}s" if heading["method"] else ""
        found[name] = [
            CalculatedState(e, 1, _strength(e, bright))
            if name == "singlet"
            else CalculatedState(e, 3)
            for e in energies
        ]
    states = [state for each in found.values() for state in each]
    return [method for method in methods.values() if method], states


def _strength(energy: float, bright: list[tuple[float, float]]) -> float | None:
    """Strength of the last analysed state with this energy."""
    matching = [f for e, f in bright if abs(e - energy) < ROUNDING]
    return matching[-1] if matching else None
