"""Reports of a run: a row per epoch in ``log.csv``, a line and a progress bar on the terminal."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esml.io.files import write_whole
from esml.training.config import TrainingConfig

COLUMNS = (
    "epoch", "seconds", "hamiltonian", "orbitals", "dipole_operator", "charges", "dipole",
    "energies", "alignment", "transition_dipoles", "exact_energies", "oscillator_strengths",
    "levels", "occupied_mae_eV", "homo_mae_eV",
    "gap_mae_eV", "s1_mae_eV", "t1_mae_eV", "singlets_mae_eV", "triplets_mae_eV",
    "oscillator_mae",
)  # fmt: skip


def take_back(path: Path, epoch: int) -> None:
    """Remove the rows after ``epoch`` from a log, because those epochs are trained again."""
    if not path.exists():
        return
    # If the run was killed, the last line may be incomplete.
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    head, *rows = [line for line in lines if line.endswith("\n")] or [""]
    kept = [row for row in rows if (n := row.split(",")[0]).isdigit() and int(n) <= epoch]
    if [head, *kept] != lines:
        path.unlink() if not head else write_whole(path, "".join([head, *kept]).encode())


def append(path: Path, row: dict[str, float], columns: Sequence[str] = COLUMNS) -> None:
    """Add one epoch's row to a log of ``columns``."""
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" for k, v in row.items()})


class Curves:
    """Write the rows of a log as curves for TensorBoard to ``folder``; do nothing if it is None.

    Raises ImportError if tensorboard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                'curves of a run need tensorboard: pip install "esml[tensorboard]"'
            ) from error
        self._writer = SummaryWriter(str(folder))

    def add(self, row: dict[str, float]) -> None:
        """Add the row of one epoch: losses, and errors on validation molecules."""
        if self._writer is None:
            return
        for name, value in row.items():
            group = "validation" if "mae" in name else "loss"
            if name not in ("epoch", "seconds"):
                self._writer.add_scalar(f"{group}/{name}", value, int(row["epoch"]))
        self._writer.flush()


def epoch_line(config: TrainingConfig, row: dict[str, float]) -> str:
    """Format the terminal line of one epoch."""
    left = (config.epochs - row["epoch"]) * row["seconds"] / 60
    line = f"epoch {row['epoch']:4.0f}/{config.epochs}  {row['seconds']:6.1f} s  left {left:5.0f} "
    line += "min"
    if "hamiltonian" in row:
        line += f"  H {row['hamiltonian']:.4f}"
    if "energies" in row:
        line += f"  E {row['energies']:.3f} eV"
    if "s1_mae_eV" in row:
        line += "  | validation MAE, eV:"
        for name in ("occupied", "homo", "gap", "s1", "t1", "singlets", "triplets"):
            if f"{name}_mae_eV" in row:
                line += f" {name} {row[f'{name}_mae_eV']:.3f} "
        line += f" f {row['oscillator_mae']:.4f}"
    return line
