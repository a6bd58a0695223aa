"""Blocks of text of the data card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from esml.io.records import shard_paths
from esml.training.scores import BRIGHT, LEAST_WEIGHT
from reference.molecules import held_out_core, molecule_from_smiles
from reference.validate import LOW_TRIPLET
from scripts.data.entries import ENDS, GROUPS, Entry, is_zwitterion, molecules, percent
from scripts.pages import table

GEOMETRIES = ("relaxed", "thermal", "twisted", "triplet", "excited")
SPLITS = ("train", "validation", "test", "extrapolation")
HELD_BACK = ("validation molecules", "test molecules")
IONS = {-2: "dianions", -1: "anions", 0: "neutral", 1: "cations", 2: "dications"}


def size_range(entries: Sequence[Entry]) -> str:
    sizes = [e.n_heavy for e in entries]
    return f"{min(sizes)}–{max(sizes)}" if entries else "–"


def elements(entries: Sequence[Entry]) -> list[str]:
    """Return the elements of ``entries``, by atomic number."""
    return sorted({s for e in entries for s in e.symbols}, key=atomic_numbers.__getitem__)


def signed(charge: int) -> str:
    return f"{charge:+d}".replace("-", "−") if charge else "0"


def sets(entries: Sequence[Entry], directories: Sequence[Path]) -> str:
    rows: list[Sequence[object]] = []
    for name in (*(d.name for d in directories), "together"):
        chosen = [e for e in entries if name in (e.directory, "together")]
        paths = [d for d in directories if name in (d.name, "together")]
        size = sum(p.stat().st_size for d in paths for p in shard_paths(d)) / 1e6
        kinds = Counter(e.geometry for e in chosen)
        rows.append(
            (
                f"`{name}/`" if name != "together" else name,
                f"{len(chosen):,}",
                f"{len(molecules(chosen)):,}",
                size_range(chosen),
                *(kinds[k] for k in GEOMETRIES),
                f"{size:.1f}",
                f"{np.nansum([e.seconds for e in chosen]) / 3600:.1f}",
            )
        )
    head = ("directory", "structures", "molecules", "heavy atoms", *GEOMETRIES)
    return table((*head, "MB", "core hours"), rows, right=True)


def splits(entries: Sequence[Entry]) -> str:
    rows = []
    for split in SPLITS:
        chosen = [e for e in entries if e.split == split]
        if not chosen:
            continue
        unseen = [
            e
            for e in molecules(chosen).values()
            if e.smiles and held_out_core(molecule_from_smiles(e.smiles))
        ]
        rows.append(
            (split, f"{len(chosen):,}", len(molecules(chosen)), len(unseen), size_range(chosen))
        )
    head = ("split", "structures", "molecules", "of them with a held-out core", "heavy atoms")
    return table(head, rows, right=True)


def composition(entries: Sequence[Entry]) -> str:
    members = [e for e in molecules(entries).values() if e.smiles]
    mols = [Chem.MolFromSmiles(e.smiles) for e in members]
    scaffolds = {Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(m)) for m in mols} - {""}
    saturated = sum(
        all(b.GetBondType() == Chem.BondType.SINGLE for b in m.GetBonds()) for m in mols
    )
    symbols = Counter(s for e in members for s in e.symbols)
    lines = [
        "Share of the molecules with an element: "
        + ", ".join(f"{s} {percent(n, len(members))}" for s, n in symbols.most_common())
        + f". {len(scaffolds)} different ring scaffolds (Murcko); "
        f"{percent(saturated, len(members))} of the molecules have single bonds only. Of the "
        "molecules have:",
        "",
    ]
    rows = [
        (name, n, percent(n, len(members)))
        for name, smarts in GROUPS.items()
        for pattern in [Chem.MolFromSmarts(smarts)]
        for n in [sum(m.HasSubstructMatch(pattern) for m in mols)]
    ]
    return "\n".join([*lines, table(("group", "molecules", "share"), rows, right=True)])


def charges_and_elements(entries: Sequence[Entry]) -> str:
    """Count the molecules of each split and the training structures by element and by charge."""
    rows: list[Sequence[object]] = []

    def count(name: str, chosen: Sequence[Entry]) -> None:
        parts = {split: [e for e in chosen if e.split == split] for split in SPLITS}
        n = {split: f"{len(molecules(part)):,}" for split, part in parts.items()}
        n_structures = f"{len(parts['train']):,}"
        rows.append((name, n["train"], n_structures, n["validation"], n["test"]))

    for symbol in elements(entries):
        count(f"with {symbol}", [e for e in entries if symbol in e.symbols])
    for charge in sorted({e.charge for e in entries}):
        chosen = [e for e in entries if e.charge == charge]
        count(f"{IONS.get(charge, 'charge')} ({signed(charge)})", chosen)
        if charge == 0:
            count("of these, zwitterions", [e for e in chosen if is_zwitterion(e.smiles)])
    head = ("", "training molecules", "training structures", *HELD_BACK)
    return table(head, rows, right=True)


def elements_of_ions(entries: Sequence[Entry]) -> str:
    """Count the training molecules with each element by their charge."""
    training = molecules([e for e in entries if e.split == "train"]).values()
    charges = sorted({e.charge for e in training})
    rows = []
    for symbol in elements(entries):
        n = Counter(e.charge for e in training if symbol in e.symbols)
        rows.append((f"with {symbol}", *(f"{n[charge]:,}" for charge in charges)))
    return table(("", *map(signed, charges)), rows, right=True)


def low_triplets(entries: Sequence[Entry]) -> str:
    """Say how many structures have a triplet near the ground state, and which they are."""
    low = [e for e in entries if e.triplets[0] < LOW_TRIPLET]
    others = [e for e in low if e.geometry not in ("triplet", "excited")]
    nitroso = Chem.MolFromSmarts(GROUPS["nitroso"])
    n = sum(Chem.MolFromSmiles(e.smiles).HasSubstructMatch(nitroso) for e in others)
    return (
        f"{len(low)} structures have a T1 below {LOW_TRIPLET:g} eV: {len(low) - len(others)} in "
        f"geometries of excited molecules; of the {len(others)} others, {n} are nitroso compounds."
    )


def states(entries: Sequence[Entry]) -> str:
    def row(name: str, values: Sequence[float], digits: int = 2) -> tuple[str, ...]:
        quantiles = np.quantile(values, (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0))
        return name, *(f"{q:.{digits}f}" for q in quantiles)

    brightest = [
        e.strengths[e.singlets < ENDS[1]].max() for e in entries if (e.singlets < ENDS[1]).any()
    ]
    rows = [
        row("S1 (eV)", [e.singlets[0] for e in entries]),
        row("T1 (eV)", [e.triplets[0] for e in entries]),
        row("S1 − T1 (eV)", [e.singlets[0] - e.triplets[0] for e in entries]),
        row("strength of S1", [e.strengths[0] for e in entries], 4),
        row(f"strength of the brightest below {ENDS[1]:g} eV", brightest, 3),
        row("valence weight of S1", [e.singlet_weights[0] for e in entries]),
        row("valence weight of T1", [e.triplet_weights[0] for e in entries]),
    ]
    n = [sum(len(getattr(e, k)) for e in entries) for k in ("singlets", "triplets")]
    bright = sum(int((e.strengths >= BRIGHT).sum()) for e in entries)
    return (
        f"{n[0]:,} singlets, {bright:,} of them with f ≥ {BRIGHT:g}, and {n[1]:,} triplets. "
        f"{low_triplets(entries)}\n\n"
        + table(("", "least", "5 %", "25 %", "median", "75 %", "95 %", "most"), rows, right=True)
    )


def coverage(entries: Sequence[Entry]) -> str:
    rows = []
    for name, chosen in (
        ("sampled", [e for e in entries if not e.is_larger]),
        ("larger", [e for e in entries if e.is_larger]),
    ):
        for end in ENDS:
            below = [(e.strengths, e.singlet_weights, e.singlets < end) for e in chosen]
            f = np.concatenate([f[b] for f, _, b in below] or [np.zeros(0)])
            w = np.concatenate([w[b] for _, w, b in below] or [np.zeros(0)])
            wt = np.concatenate(
                [e.triplet_weights[e.triplets < end] for e in chosen] or [np.zeros(0)]
            )
            if not len(w):
                continue
            held, held_t = w >= LEAST_WEIGHT, wt >= LEAST_WEIGHT
            rows.append(
                (
                    f"{name}, below {end:g} eV",
                    f"{len(w):,}",
                    f"{held.sum():,} ({percent(held.sum(), len(w))})",
                    percent(float(f[held].sum()), float(f.sum())),
                    f"{len(wt):,}",
                    f"{held_t.sum():,} ({percent(held_t.sum(), len(wt))})",
                    percent(sum(e.reaches(end) for e in chosen), len(chosen)),
                )
            )
    head = ("molecules", "singlets", "valence", "of the strength", "triplets", "valence")
    return table((*head, "structures with all singlets stored"), rows, right=True)


def provenance(entries: Sequence[Entry]) -> str:
    versions = Counter(str(e.provenance.get("pyscf", "unknown")) for e in entries)
    dates = sorted(str(e.provenance["date"]) for e in entries if "date" in e.provenance)
    lines = [
        "PySCF " + ", ".join(f"{v} ({n:,} records)" for v, n in versions.most_common()),
        f"computed from {dates[0]} to {dates[-1]}" if dates else "dates unknown",
    ]
    levels = Counter(e.level for e in entries)
    common = json.loads(levels.most_common(1)[0][0])
    text = [f"- {line}" for line in lines]
    for level, n in levels.most_common():
        values = json.loads(level)
        shown = {k: v for k, v in values.items() if values == common or common.get(k) != v}
        said = ", ".join(f"{k} {v}" for k, v in sorted(shown.items()))
        text.append(f"- level of {n:,} records: {'as above but for ' * (values != common)}{said}")
    return "\n".join(text)
