"""Numbers and pictures of the data card, docs/data.md, from the committed records.

    python -m scripts.data.card [DATA ...] [--page docs/data.md] [--figures docs/figures]

DATA are directories of records, by default every one in data/ but distorted/, which is no sample of
anything; each is a row of the first table.
Blocks of the page between ``<!-- data card: NAME -->`` and ``<!-- end -->`` are filled anew, the
text around them is left alone. The pictures are data_*.png. A record that several directories hold
counts for the first of them.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from ase.data import chemical_symbols
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from esml.io.records import Record, iterate, shard_paths
from esml.training.scores import BRIGHT, LEAST_WEIGHT
from reference.molecules import held_out_core, molecule_from_smiles
from scripts import ROOT

SPLITS = ("train", "validation", "test", "extrapolation")
ENDS = (6.0, 8.0)
"""eV; spectra are looked at below these."""
LARGEST_SAMPLED = 9
"""Heavy atoms; larger molecules are there for extrapolation."""
COLOURS = {"sampled": "#3b6ea8", "larger": "#d9822b"}

GROUPS = {
    "C=C outside aromatic rings": "[C;!a]=[C;!a]",
    "C≡C": "C#C",
    "cumulated double bonds": "*=[C;!a]=*",
    "benzene ring": "c1ccccc1",
    "five-membered heteroaromatic ring": "[a;r5;!#6]",
    "six-membered heteroaromatic ring": "[a;r6;!#6]",
    "aldehyde or ketone": "[CX3;!a;!$(C[#7,#8,#16,F,Cl])]=[OX1]",
    "carbonyl on N, O, S or halogen": "[CX3;!a](=O)[#7,#8,#16,F,Cl]",
    "C=S": "[#6]=S",
    "C=N outside aromatic rings": "[C;!a]=[N;!a]",
    "nitrile": "C#N",
    "N=N": "[N;!a]=[N;!a]",
    "nitroso": "[*][NX2]=O",
    "nitro": "[NX3+](=O)[O-]",
    "S=O": "S=O",
    "NH, NR₂": "[NX3;!a;!$(*~O);!$(*C=O)]",
    "OH, OR outside carbonyls": "[OX2;!a;!$(*C=O)]",
    "SH, SR outside aromatic rings": "[SX2;!a]",
    "F, Cl": "[F,Cl]",
}
"""What a molecule may contain (name: SMARTS)."""


@dataclass(frozen=True)
class Entry:
    """What the card needs of one record."""

    directory: str
    molecule: str
    smiles: str
    split: str
    geometry: str
    symbols: frozenset[str]
    n_heavy: int
    singlets: np.ndarray  # eV
    strengths: np.ndarray
    singlet_weights: np.ndarray
    triplets: np.ndarray  # eV
    triplet_weights: np.ndarray
    level: str
    provenance: dict[str, object]

    @classmethod
    def of(cls, directory: str, record: Record) -> Entry:
        return cls(
            directory,
            record.inchikey or record.name,
            record.smiles,
            record.split,
            record.geometry,
            frozenset(chemical_symbols[z] for z in record.numbers),
            int((record.numbers > 1).sum()),
            record.singlet_energies,
            record.singlet_strengths,
            record.singlet_valence_weights,
            record.triplet_energies,
            record.triplet_valence_weights,
            record.level,
            json.loads(record.provenance or "{}"),
        )

    @property
    def is_larger(self) -> bool:
        return self.n_heavy > LARGEST_SAMPLED

    @property
    def seconds(self) -> float:
        return float(str(self.provenance.get("seconds_total", "nan")))

    def reaches(self, end: float) -> bool:
        """Whether all singlets below ``end`` (eV) are stored."""
        return len(self.singlets) < json.loads(self.level)["n_singlets"] or self.singlets[-1] >= end


def collect(directories: Sequence[Path]) -> list[Entry]:
    """One entry for every distinct record, those of the first directory first."""
    entries, seen = [], set()
    for directory in directories:
        for record in iterate(directory):
            if record.key not in seen:
                seen.add(record.key)
                entries.append(Entry.of(directory.name, record))
    return entries


def molecules(entries: Sequence[Entry]) -> dict[str, Entry]:
    """One entry for every molecule."""
    return {entry.molecule: entry for entry in reversed(entries)}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---" if i == 0 else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, rule, *rows))


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


# --- blocks of text -------------------------------------------------------------------------------


def size_range(entries: Sequence[Entry]) -> str:
    sizes = [e.n_heavy for e in entries]
    return f"{min(sizes)}–{max(sizes)}" if entries else "–"


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
                *(kinds[k] for k in ("relaxed", "thermal", "twisted")),
                f"{size:.1f}",
                f"{np.nansum([e.seconds for e in chosen]) / 3600:.1f}",
            )
        )
    head = ("directory", "structures", "molecules", "heavy atoms", "relaxed", "thermal", "twisted")
    return table((*head, "MB", "core hours"), rows)


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
    return table(head, rows)


def composition(entries: Sequence[Entry]) -> str:
    members = [e for e in molecules(entries).values() if e.smiles]
    mols = [Chem.MolFromSmiles(e.smiles) for e in members]
    scaffolds = {Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(m)) for m in mols} - {""}
    saturated = sum(
        all(b.GetBondType() == Chem.BondType.SINGLE for b in m.GetBonds()) for m in mols
    )
    elements = Counter(s for e in members for s in e.symbols)
    lines = [
        "Share of the molecules with an element: "
        + ", ".join(f"{s} {percent(n, len(members))}" for s, n in elements.most_common())
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
    return "\n".join([*lines, table(("group", "molecules", "share"), rows)])


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
    low = sum(bool(e.triplets[0] < 0.5) for e in entries)
    return (
        f"{n[0]:,} singlets, {bright:,} of them with f ≥ {BRIGHT:g}, and {n[1]:,} triplets. "
        f"{low} structures have a T1 below 0.5 eV.\n\n"
        + table(("", "least", "5 %", "25 %", "median", "75 %", "95 %", "most"), rows)
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
    return table((*head, "structures with all singlets stored"), rows)


def cost(entries: Sequence[Entry]) -> str:
    rows = []
    for n in sorted({e.n_heavy for e in entries}):
        seconds = [e.seconds for e in entries if e.n_heavy == n and np.isfinite(e.seconds)]
        if seconds:
            rows.append(
                (
                    n,
                    len(seconds),
                    f"{np.median(seconds):.1f}",
                    f"{np.quantile(seconds, 0.9):.1f}",
                    f"{3600 * len(seconds) / sum(seconds):.0f}",
                )
            )
    total = [e.seconds for e in entries if np.isfinite(e.seconds)]
    head = ("heavy atoms", "structures", "median (s)", "90 % below (s)", "per hour and core")
    rate = 3600 * len(total) / sum(total)
    return (
        f"All in all {len(total):,} structures in {sum(total) / 3600:.1f} core hours: {rate:.0f} "
        "structures per hour and core.\n\n" + table(head, rows)
    )


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


# --- pictures -------------------------------------------------------------------------------------


def families(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found = {
        "sampled": [e for e in entries if not e.is_larger],
        "larger": [e for e in entries if e.is_larger],
    }
    return {name: members for name, members in found.items() if members}


def save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=100)
    plt.close(figure)


def histogram(
    axes: plt.Axes,
    entries: Sequence[Entry],
    values: Callable[[Entry], Sequence[float]],
    bins: np.ndarray,
    label: str,
) -> None:
    for name, members in families(entries).items():
        data = np.concatenate([np.atleast_1d(values(e)) for e in members])
        axes.hist(
            np.clip(data, bins[0], bins[-1]),
            bins=bins,
            color=COLOURS[name],
            alpha=0.8,
            label=f"{name} ({len(data):,})",
        )
    axes.set_xlabel(label)
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)
    if len(families(entries)) > 1:
        axes.legend(frameon=False)


def draw_composition(entries: Sequence[Entry], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    members = list(molecules(entries).values())
    sizes = Counter(e.n_heavy for e in members)
    left.bar(
        list(sizes),
        list(sizes.values()),
        color=[COLOURS["larger" if n > LARGEST_SAMPLED else "sampled"] for n in sizes],
    )
    left.set_xlabel("heavy atoms")
    left.set_ylabel("molecules")
    mols = [Chem.MolFromSmiles(e.smiles) for e in members if e.smiles]
    shares = {
        name: 100 * np.mean([m.HasSubstructMatch(Chem.MolFromSmarts(smarts)) for m in mols])
        for name, smarts in GROUPS.items()
    }
    names = sorted(shares, key=lambda name: shares[name])
    right.barh(names, [shares[name] for name in names], color=COLOURS["sampled"])
    right.tick_params(axis="y", labelsize=8)
    right.set_xlabel("molecules (%)")
    for axes in (left, right):
        axes.spines[["right", "top"]].set_visible(False)
    save(figure, path)


def draw_states(entries: Sequence[Entry], path: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    energies = np.linspace(0, 10, 41)
    histogram(axes[0], entries, lambda e: e.singlets[:1], energies, "S1 (eV)")
    histogram(axes[1], entries, lambda e: e.triplets[:1], energies, "T1 (eV)")
    logarithms = np.linspace(-5, 1, 37)
    histogram(
        axes[2],
        entries,
        lambda e: np.log10(np.maximum(e.strengths, 1e-12)),
        logarithms,
        "strength of each singlet (first bar: ≤)",
    )
    axes[2].set_xticks(range(-5, 2), [f"$10^{{{k}}}$" for k in range(-5, 2)])
    save(figure, path)


def draw_valence(entries: Sequence[Entry], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    w = np.concatenate([e.singlet_weights for e in entries])
    wt = np.concatenate([e.triplet_weights for e in entries])
    bins = np.linspace(0.4, 1, 31)
    for weights, name, colour in ((wt, "triplets", "#999999"), (w, "singlets", "#3b6ea8")):
        left.hist(np.clip(weights, bins[0], 1), bins=bins, color=colour, alpha=0.8, label=name)
    left.axvline(LEAST_WEIGHT, color="black", linewidth=1)
    left.set_xlabel(f"valence weight (line: {LEAST_WEIGHT:g})")
    left.set_ylabel("states")
    left.legend(frameon=False)
    energies = np.concatenate([e.singlets for e in entries])
    f = np.concatenate([e.strengths for e in entries])
    energies_t = np.concatenate([e.triplets for e in entries])
    grid = np.linspace(2, 9.5, 61)

    def below(at: np.ndarray, held: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        order = np.argsort(at)
        every, kept = np.cumsum(amounts[order]), np.cumsum((held * amounts)[order])
        last = np.searchsorted(at[order], grid) - 1
        return np.where(last < 0, np.nan, 100 * kept[last] / every[last])

    ones, held = np.ones(len(w)), w >= LEAST_WEIGHT
    right.plot(grid, below(energies, held, ones), color="#3b6ea8", label="of the singlets")
    right.plot(grid, below(energies, held, f), color="#d9822b", label="of their strength")
    right.plot(
        grid,
        below(energies_t, wt >= LEAST_WEIGHT, np.ones(len(wt))),
        color="#999999",
        label="of the triplets",
    )
    for end in ENDS:
        right.axvline(end, color="black", linewidth=0.5)
    right.set_ylim(0, 102)
    right.set_xlabel("all states below (eV)")
    right.set_ylabel(f"valence weight ≥ {LEAST_WEIGHT:g} (%)")
    right.legend(frameon=False, loc="lower left")
    for axes in (left, right):
        axes.spines[["right", "top"]].set_visible(False)
    save(figure, path)


def draw_cost(entries: Sequence[Entry], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    known = [e for e in entries if np.isfinite(e.seconds)]
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(known))
    axes.semilogy(
        np.array([e.n_heavy for e in known]) + jitter,
        [e.seconds for e in known],
        ".",
        color=COLOURS["sampled"],
        markersize=3,
        alpha=0.5,
        markeredgewidth=0,
    )
    sizes = sorted({e.n_heavy for e in known})
    medians = [np.median([e.seconds for e in known if e.n_heavy == n]) for n in sizes]
    axes.plot(sizes, medians, "_", color="black", markersize=12)
    axes.set_xlabel("heavy atoms")
    axes.set_ylabel("core seconds a structure")
    axes.spines[["right", "top"]].set_visible(False)
    save(figure, path)


DRAWINGS = {
    "data_composition.png": draw_composition,
    "data_states.png": draw_states,
    "data_valence.png": draw_valence,
    "data_cost.png": draw_cost,
}


# --- the page -------------------------------------------------------------------------------------


def fill(page: str, blocks: dict[str, str]) -> str:
    """``page`` with its blocks filled; raises SystemExit for a block that is not there."""
    for name, text in blocks.items():
        pattern = re.compile(rf"(<!-- data card: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise SystemExit(f"the page has no single block '<!-- data card: {name} -->'")
        page = pattern.sub(lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", page)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "data.md")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "figures")
    args = parser.parse_args()
    directories = args.data or sorted(
        p for p in (ROOT / "data").iterdir() if p.is_dir() and p.name != "distorted"
    )
    entries = collect(directories)
    blocks = {
        "sets": sets(entries, directories),
        "splits": splits(entries),
        "composition": composition(entries),
        "states": states(entries),
        "coverage": coverage(entries),
        "cost": cost(entries),
        "provenance": provenance(entries),
    }
    args.page.write_text(fill(args.page.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    args.figures.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        draw(entries, args.figures / name)
    print(f"{len(entries)} records: {args.page} and {len(DRAWINGS)} pictures in {args.figures}")


if __name__ == "__main__":
    main()
