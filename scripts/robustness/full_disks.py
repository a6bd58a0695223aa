"""Train and predict on full disks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

from esml.predict.journal import journal_path
from scripts.robustness.processes import CONFIG, DATA, ESML, WINDOW, finish, write_molecules


def lines(path: Path) -> int:
    """Count the lines of a journal: one, plus one for each batch of structures."""
    return path.read_bytes().count(b"\n") if path.exists() else 1


def resumed(error: str) -> int:
    """Return how many earlier predictions a run reports."""
    told = re.search(r"note: (\d+) of them are from an earlier run", error)
    return int(told[1]) if told else 0


def fill_disk(folder: Path, n: int) -> list[str]:
    """Train and predict on full disks; return what went wrong."""
    small = folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(small)]
    found = []
    if subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            found += full(folder, small, n, None)
        finally:
            subprocess.run(["umount", str(small)], check=True)
    else:
        print("  no tmpfs can be mounted here: limits on the size of files only")
    return found + full(folder, small, n, 24_576) + limited(folder)


def full(folder: Path, small: Path, n: int, most_bytes: int | None) -> list[str]:
    """Return what goes wrong if ``small`` is full, or files are limited to ``most_bytes``."""
    found = []
    structures = folder / "many.xyz"
    write_molecules(structures, n, np.random.default_rng(0))
    (folder / "full.yaml").write_text(CONFIG.format(data=DATA, output=small / "run", epochs=2))
    ends = (".h5", ".csv", ".json")
    commands: dict[str, tuple[str | Path, ...]] = {
        f"predict to {end}": ("predict", structures, "-o", small / f"out{end}") for end in ends
    }
    commands["train"] = ("train", folder / "full.yaml")
    for name, command in commands.items():
        code, error = finish(*ESML, *command, most_bytes=most_bytes)
        last = error.strip().splitlines()[-1] if error.strip() else ""
        if code != 2 or not last.startswith("error: ") or "Traceback" in error:
            found.append(f"{name} on a full disk ended with {code}: {error[-500:]}")
        if "expected" not in last:
            found.append(f"{name} on a full disk said: {last}")
        whole = [p for p in small.rglob("*") if p.is_file() and p.stat().st_size]
        left = [p.name for p in whole if p.suffix != ".part" and p.name != "log.csv"]
        if left:
            found.append(f"{name} on a full disk left {left}")
        for path in whole:
            path.unlink()
    return found


def limited(folder: Path) -> list[str]:
    """Return what is lost if the limit on file sizes ends a journal after about two batches."""
    structures, output = folder / "limited.xyz", folder / "limited.csv"
    write_molecules(structures, 2 * WINDOW + 4, np.random.default_rng(0))
    command = (*ESML, "predict", structures, "-o", output, "--n-states", "1")
    code, error = finish(*command, most_bytes=WINDOW * 2_400)  # a prediction takes 1,330
    found = []
    if code != 2 or not error.strip().splitlines()[-1].startswith("error: ") or output.exists():
        found.append(f"predict with limited files ended with {code}: {error[-500:]}")
    if lines(journal_path(output)) < 2:
        found.append("predict with limited files kept nothing")
    code, error = finish(*command)
    if code or not resumed(error):
        found.append(f"predict after the limit was raised ended with {code}: {error[-500:]}")
    return found
