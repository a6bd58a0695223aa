"""Reference calculations to compare a prediction with, from JSON or the output of a program.

``examples/README.md`` describes the JSON file.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from esml.io.formats.programs import Calculation, program_of, read_calculation
from esml.io.provenance import InputError


class ReferenceStates(BaseModel):
    """States of one multiplicity, ascending in energy."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    energies: list[float] = Field(min_length=1, description="eV")
    oscillator_strengths: list[float] | None = None

    @model_validator(mode="after")
    def _match(self) -> ReferenceStates:
        strengths = self.oscillator_strengths
        if strengths is not None and len(strengths) != len(self.energies):
            raise ValueError(f"{len(self.energies)} energies but {len(strengths)} strengths")
        if self.energies != sorted(self.energies):
            raise ValueError("energies are not ascending")
        return self


class ReferenceOrbitals(BaseModel):
    """Frontier orbital energies."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    homo: float = Field(description="eV")
    lumo: float = Field(description="eV")


class Comparison(BaseModel):
    """A reference calculation to print with a prediction; further fields are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    level: str = Field(description="level of theory, for people to read")
    singlets: ReferenceStates
    triplets: ReferenceStates | None = None
    orbitals: ReferenceOrbitals | None = None
    formula: str | None = Field(default=None, description="as ASE writes it, C14H12")
    charge: int | None = Field(default=None, description="total charge, e")

    def differs(self, formula: str, charge: int) -> str | None:
        """Return a message if the reference is for another molecule, else None.

        Parameters
        ----------
        formula, charge
            Formula, as ASE writes it, and charge of the predicted molecule.
        """
        of = (self.formula or formula, charge if self.charge is None else self.charge)
        if of == (formula, charge):
            return None
        return (
            f"the reference is for {of[0]} with charge {of[1]:+d}, the prediction for {formula} "
            f"with charge {charge:+d}"
        )


def validation_reasons(error: ValidationError) -> str:
    """Return the errors of a pydantic validation on one line: ``path.to.field: reason; …``."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'all'}: {item['msg']}"
        for item in error.errors()
    )


def read_comparison(path: str | Path) -> Comparison:
    """Read the reference calculation in a JSON file or in the output of a program.

    Raises
    ------
    InputError
        If the file cannot be read, is not JSON, or lacks the level or the singlets.
    """
    path = Path(path)
    if program_of(path) is not None:
        return _from_output(path)
    try:
        return Comparison.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(
            f"cannot read '{path}' ({error.strerror or error}): expected a reference in JSON; "
            "check the path"
        ) from error
    except ValidationError as error:
        raise InputError(
            f"'{path}' is not a reference esml can compare with ({validation_reasons(error)}): "
            "expected level and singlets; fix the file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"'{path}' is not JSON ({error}): expected a reference calculation; fix the file"
        ) from error


def _from_output(path: Path) -> Comparison:
    """Excited states and frontier orbitals in the output of a quantum-chemistry program.

    States are assigned by their multiplicity, in whatever order the output lists them.
    """
    found = read_calculation(path)
    singlets, triplets = found.of_multiplicity(1), found.of_multiplicity(3)
    _check_states(path, found)
    strengths = [state.strength for state in singlets if state.strength is not None]
    return Comparison(
        level=found.level,
        singlets=ReferenceStates(
            energies=[state.energy for state in singlets],
            oscillator_strengths=strengths if len(strengths) == len(singlets) else None,
        ),
        triplets=(
            ReferenceStates(energies=[state.energy for state in triplets]) if triplets else None
        ),
        orbitals=(
            ReferenceOrbitals(homo=found.frontier[0], lumo=found.frontier[1])
            if found.frontier
            else None
        ),
        formula=found.table.atoms.get_chemical_formula(),
        charge=found.table.charge,
    )


def _check_states(path: Path, found: Calculation) -> None:
    """Refuse open shells, and states that are not known to be singlets or triplets."""
    multiplicity = found.table.atoms.info.get("multiplicity", 1)
    if multiplicity != 1:
        raise InputError(
            f"'{path}' is a calculation of an open shell (multiplicity {multiplicity}) where a "
            "closed shell is expected to compare with; choose another"
        )
    untold = [state for state in found.states if state.multiplicity not in (1, 3)]
    if untold:
        raise InputError(
            f"'{path}' does not give the multiplicity of {len(untold)} of its "
            f"{len(found.states)} excited states: expected singlets or triplets; write them as "
            "JSON (see examples/README.md)"
        )
    if not found.of_multiplicity(1):
        raise InputError(
            f"'{path}' holds no excited singlets to compare with: expected the output of a "
            "calculation of excited states; choose another"
        )
