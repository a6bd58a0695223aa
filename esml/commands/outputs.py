"""Output files of ``esml spectrum``, which are checked before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from esml import __version__
from esml.commands.messages import fail, note, refusing
from esml.commands.options import check_apart, check_output, check_picture
from esml.commands.pictures import View, curve_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from esml.analysis.dichroism import Dichroism
    from esml.analysis.spectrum import Spectrum
    from esml.io.structures import Structure
    from esml.results import Result


@dataclass(frozen=True)
class Outputs:
    """Output files that the user asked for."""

    plot: Path | None
    csv: Path | None
    report: Path | None
    molden: Path | None
    cubes: Path | None
    json: Path | None
    predictions: Path | None
    """File of the prediction, as ``esml predict`` writes it."""
    view: View
    """Axis and range of the picture."""

    def check(self, inputs: Mapping[str, object]) -> None:
        """End the command before any work is done if a file cannot be written.

        ``inputs`` are the files that the command reads, by option; none may be replaced.
        """
        files = {
            "--plot": self.plot,
            "--csv": self.csv,
            "--report": self.report,
            "--molden": self.molden,
            "--json": self.json,
            "--output": self.predictions,
        }
        for option, path in files.items():
            check_output(path, option)
        check_apart(files, inputs)
        if self.predictions is not None:
            from esml.export import ExportError, format_of

            with refusing(ExportError):
                format_of(self.predictions)
        if self.cubes is not None and self.cubes.exists() and not self.cubes.is_dir():
            fail(
                f"--cubes '{self.cubes}' is a file: expected a folder to write to; choose another "
                "name"
            )
        check_picture(self.plot)

    def check_report(self) -> None:
        """End the command if the name of the page does not end in .html."""
        if self.report is None:
            return
        if self.report.suffix.lower() not in (".html", ".htm"):
            fail(
                f"--report '{self.report}' ends in '{self.report.suffix}': expected .html; "
                "rename it"
            )

    def write_prediction(
        self, result: Result, structure: Structure, n_states: int, model: str
    ) -> None:
        """Write the prediction, if asked for, in the format that the file name gives."""
        if self.predictions is None:
            return
        from esml.export import ExportError, open_writer

        placed = replace(
            result, name=structure.name, source=structure.source, index=structure.index
        )
        with (
            refusing(ExportError, OSError),
            open_writer(
                self.predictions,
                n_states,
                extras=result.singlets.extras,
                model=model,
                esml_version=__version__,
            ) as writer,
        ):
            writer.add(placed)
        note(f"prediction: {self.predictions}")

    def write_curve(self, curve: Spectrum | Dichroism) -> None:
        """Write table and picture of a mean spectrum or of circular dichroism, if asked for."""
        with refusing(OSError):
            if self.csv is not None:
                curve.to_csv(self.csv)
                note(f"curve: {self.csv}")
            if self.plot is not None:
                save_picture(curve_picture(curve, self.view), self.plot)


def save_picture(axes: Axes, path: Path) -> None:
    """Write the figure of ``axes`` and say so."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig(path, dpi=200)
    note(f"picture: {path}")
