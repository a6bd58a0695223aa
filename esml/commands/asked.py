"""What ``esml spectrum`` is asked to compute, and which options exclude each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from esml.commands.messages import fail, refusing

if TYPE_CHECKING:
    from esml.commands.outputs import Outputs


@dataclass(frozen=True)
class Asked:
    """What to compute, apart from how the molecule is read and what is written."""

    n_states: int
    fwhm: float  # eV
    temperature: float  # K
    model: str | None
    compare: Path | None
    index: int | None
    conformers: int | None
    average: bool
    cd: bool
    vibronic: bool
    herzberg_teller: bool
    averaged: bool
    two_photon: bool
    state: str | None
    raw: bool

    def check_numbers(self) -> None:
        """End the command if the width, the temperature or the number of a state is impossible."""
        from esml.analysis.spectrum import check_width
        from esml.analysis.vibronic import check_temperature

        with refusing(ValueError):
            check_width(self.fwhm, "--fwhm")
            check_temperature(self.temperature, "--temperature")
        names = {f"{letter}{k + 1}" for letter in "ST" for k in range(self.n_states)}
        if self.state is not None and self.state not in names:
            fail(
                f"--state is '{self.state}': expected one of S1 to S{self.n_states} or T1 to "
                f"T{self.n_states}; choose one, or ask for more with --n-states"
            )

    def check_together(self, outputs: Outputs) -> None:
        """End the command if options exclude each other."""
        compared = {"--compare": self.compare is not None}
        about_many = {"--conformers": self.conformers is not None, "--average": self.average}
        if self.cd:
            others = {"--experiment": outputs.view.measured is not None}
            others |= compared | {"--vibronic": self.vibronic}
            _check_alone("about absorption and --cd about circular dichroism", others)
        if self.vibronic:
            others = compared | about_many
            _check_alone("about vertical transitions and --vibronic about whole bands", others)
        if self.two_photon:
            _check_alone("about many structures and --two-photon about one", about_many)
        if self.state is not None:
            _check_alone("about many structures and --state about one", about_many)
        for option, given in about_many.items():
            if given:
                _check_single(option, self.compare, self.index, outputs)
                break
        if all(about_many.values()):
            fail("--conformers and --average are two averages: expected one; leave one out")


def check_effects(molecule: str, vibronic: bool, given: Mapping[str, object]) -> None:
    """End the command if an option of ``given`` would have no effect."""
    from esml.io.formats.kinds import kind_of
    from esml.io.paths import looks_like_file
    from esml.io.provenance import InputError

    if given["--temperature"] is not None and not vibronic:
        fail(
            "--temperature is about the vibrations of --vibronic (conformers are weighted at 298 "
            "K): expected --vibronic beside it; add that or leave --temperature out"
        )
    is_file = looks_like_file(molecule)
    if given["--index"] is not None and not is_file:
        fail("--index chooses a structure of a file: expected a file, not a SMILES; leave it out")
    if given["--smiles-column"] is None:
        return
    path = Path(molecule)
    with refusing(InputError):
        listed = is_file and (not path.is_file() or kind_of(path) == "smiles")
    if not listed:
        fail(
            f"--smiles-column is about tables of SMILES: '{molecule}' is expected to be one; leave "
            "the option out"
        )


def _check_single(many: str, compare: Path | None, index: int | None, outputs: Outputs) -> None:
    """End the command if options for one structure and for many are combined."""
    single = {"--compare": compare, "--index": index, "--report": outputs.report}
    single |= {"--molden": outputs.molden, "--cubes": outputs.cubes, "--json": outputs.json}
    single |= {"--output": outputs.predictions}
    for option, given in single.items():
        if given is not None:
            fail(f"{option} is about one structure and {many} about many: leave one out")


def _check_alone(why: str, others: Mapping[str, bool]) -> None:
    """End the command if any of the options ``others`` was given."""
    for option, given in others.items():
        if given:
            fail(f"{option} is {why}: leave one out")
