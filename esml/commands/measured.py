"""The part of ``esml evaluate`` that compares with measured absorption maxima."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from esml.commands.messages import console, note, refusing

if TYPE_CHECKING:
    from rich.table import Table

    from esml.io.structures import ReadingOptions
    from esml.predict.surrogate import Surrogate
    from esml.training.measured_maxima import Compared, ExperimentScores


def compared(
    surrogate: Surrogate,
    table: Path,
    options: ReadingOptions,
    n_states: int,
    json_path: Path | None,
    plot: Path | None,
    raw: bool = False,
    vibrations: bool = False,
) -> None:
    """Print a row for each compound and the errors over all; write and draw what is asked for."""
    from rich.table import Table

    from esml.io.structures import InputError
    from esml.training.measured_maxima import compare_with_experiment, grouped, plain

    with refusing(InputError):
        rows, found = compare_with_experiment(
            surrogate, table, options, n_states, raw, progress=True, vibrations=vibrations
        )
    with refusing(OSError):
        if json_path is not None:
            text = json.dumps(finite(plain(rows, found)), indent=1, ensure_ascii=False)
            json_path.write_text(text + "\n", encoding="utf-8")
        if plot is not None:
            _draw(rows, plot)
    shown = Table(show_edge=False, pad_edge=False)
    for heading in ("compound", "predicted in", "measured (nm)", "λmax (nm)", "off by (eV)"):
        shown.add_column(heading, justify="right" if "(" in heading else "left", overflow="fold")
    for row in rows:
        known = math.isfinite(row.predicted_nm)
        cells = (f"{row.predicted_nm:.0f}", f"{row.error:+.2f}") if known else ("–", "–")
        shown.add_row(_plain_text(row.name), row.medium or "–", f"{row.measured_nm:.0f}", *cells)
    screen = console()
    screen.print(shown)
    screen.print()
    for title, groups in grouped(rows).items():
        if len(groups) > 1:
            screen.print(_groups(title.replace("_", " "), groups))
            screen.print()
    last = None if raw or vibrations else surrogate.last_step
    lines = _lines(found, any(row.solvent for row in rows))
    if last is not None and found.n > found.n_vacuum:
        lines.append(f"λmax in solvents with the {last.describe()}; --raw leaves it out")
    if vibrations:
        lines.append("λmax with GFN2-xTB's vibrations at 298.15 K, without the fitted last step")
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)
    for row in rows:
        if row.reason:
            note(f"failed: {row.name}: {row.reason}")
        for doubt in row.doubts:
            note(f"warning: {row.name}: {doubt}")


def _groups(title: str, groups: dict[str, ExperimentScores]) -> Table:
    """Make a table with a row of scores for each group."""
    from rich.table import Table

    shown = Table(show_edge=False, pad_edge=False)
    for heading in (title, "compounds", "mean absolute (eV)", "mean (eV)", "Spearman"):
        shown.add_column(heading, justify="left" if heading == title else "right")
    for name, found in groups.items():
        known = found.n > 0
        cells = (f"{found.mae:.2f}", f"{found.mean:+.2f}") if known else ("–", "–")
        ranks = f"{found.spearman:.2f}" if math.isfinite(found.spearman) else "–"
        shown.add_row(name, str(found.n), *cells, ranks)
    return shown


def _plain_text(text: str) -> str:
    """Escape what rich would take for markup in ``text``."""
    from rich.markup import escape

    return escape(text)


def _lines(found: ExperimentScores, names_solvents: bool) -> list[str]:
    lines = [
        f"{found.n} compounds, {found.n_failed} without a prediction, {found.n_unmeasured} rows "
        "without a measured maximum",
    ]
    if found.n:
        lines.append(f"mean absolute error {found.mae:.2f} eV, mean {found.mean:+.2f} eV")
    if math.isfinite(found.after_line):
        lines[-1] += f", {found.after_line:.2f} eV after a straight line fitted to them"
    if math.isfinite(found.spearman):
        lines.append(f"Spearman {found.spearman:.2f}")
    if found.n_vacuum:
        why = "their rows name no solvent" if names_solvents else "the table names no solvent"
        lines.append(f"{found.n_vacuum} were predicted in vacuum: {why}")
    return lines


def _draw(rows: list[Compared], path: Path) -> None:
    from esml.plots.figures import plot_parity
    from esml.units import HC

    known = [row for row in rows if math.isfinite(row.predicted_nm)]
    measured = [HC / row.measured_nm for row in known]
    predicted = [HC / row.predicted_nm for row in known]
    figure = plot_parity({"λmax": (measured, predicted)}, {"λmax": "eV"}, ("measured", "predicted"))
    figure.savefig(path, dpi=200)
    note(f"picture: {path}")


def finite(value: object) -> object:
    """Replace numbers in ``value`` that are not finite by None, because JSON has no NaN."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
