"""The training configuration: defaults, documentation and validation in one place."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from esml.io.files import sole_writer
from esml.model.direct import DirectConfig
from esml.model.hamiltonian import HamiltonianConfig

Config = TypeVar("Config", bound=BaseModel)


class ConfigError(ValueError):
    """A configuration cannot be used; the message is one sentence."""


@contextmanager
def own_output(folder: Path) -> Iterator[None]:
    """Make the output ``folder`` of a run, and lock it against other writers.

    Raises ConfigError if it cannot be made, BusyError if another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"output {folder} cannot be made ({error.strerror}): expected a directory or a place "
            "for one; choose another"
        ) from error
    with sole_writer(folder / ".lock", folder):
        yield


class LossWeights(BaseModel):
    """Weights of the loss terms. Each term is a mean over its quantity, in the unit given."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    hamiltonian: float = Field(1.0, ge=0, description="elements of H, eV²")
    orbitals: float = Field(1.0, ge=0, description="occupied and lowest virtual energies, eV")
    levels: float = Field(0.0, ge=0, description="HOMO energy and gap, eV")
    dipole_operator: float = Field(5.0, ge=0, description="elements of the dipole operator, bohr²")
    charges: float = Field(5.0, ge=0, description="atomic charges, e²")
    dipole: float = Field(10.0, ge=0, description="dipole moment, (e·bohr)²")
    energies: float = Field(1.0, ge=0, description="excitation energies, eV")
    alignment: float = Field(
        0.3, ge=0, description="couplings between label states (which should not mix), eV²"
    )
    transition_dipoles: float = Field(3.0, ge=0, description="transition dipoles, (e·bohr)²")
    exact_energies: float = Field(1.0, ge=0, description="energies of solved states, eV")


class DirectLossWeights(BaseModel):
    """Weights of the loss terms of a direct model, in the unit given."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    energies: float = Field(1.0, ge=0, description="excitation energies, eV")
    oscillator_strengths: float = Field(1.0, ge=0, description="oscillator strengths")
    levels: float = Field(1.0, ge=0, description="HOMO energy and gap, eV")
    orbitals: float = Field(
        1.0, ge=0, description="all occupied orbital energies, if the model predicts them, eV"
    )


def _kind(config: Any) -> str:
    """Return the kind of model that is configured; an effective Hamiltonian by default."""
    if isinstance(config, dict):
        return f"<{config.get('kind', 'hamiltonian')}>"
    return "<direct>" if isinstance(config, DirectConfig) else "<hamiltonian>"


class TrainingConfig(BaseModel):
    """Configuration that ``esml train`` reads from a YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: list[Path] = Field(description="shards or directories of shards")
    repeats: dict[Path, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="for some of data, how often their structures come in a pass, else once",
    )
    output: Path = Field(description="directory of the run: model.safetensors, state, log")
    name: str = Field("model", description="name written into the model file")
    model: Annotated[
        Annotated[HamiltonianConfig, Tag("<hamiltonian>")]
        | Annotated[DirectConfig, Tag("<direct>")],
        Discriminator(_kind),
    ] = Field(default_factory=HamiltonianConfig, description="the model to train")
    augment: bool = Field(
        False, description="rotate structures at random, for a backbone that is not equivariant"
    )
    epochs: int = Field(100, ge=1, le=10**9, description="passes over the training molecules")
    batch_size: int = Field(16, ge=1, le=10**6, description="structures per step")
    learning_rate: float = Field(2e-3, gt=0, description="peak learning rate; cosine decay to 1 %")
    weight_decay: float = Field(1e-5, ge=0, description="decoupled weight decay")
    warmup: int = Field(200, ge=0, description="steps of linear warm-up")
    gradient_clip: float = Field(5.0, gt=0, description="largest gradient norm")
    average: float = Field(0.995, ge=0, lt=1, description="decay of the averaged weights")
    initial: Path | None = Field(None, description="model file of the same form to start from")
    frozen: list[str] = Field(
        default_factory=list,
        description="name patterns, such as blocks.*, of weights that are not trained",
    )
    excitations_from: float = Field(
        0.0, ge=0, le=1, description="fraction of the epochs before excited states enter the loss"
    )
    exact_from: float = Field(
        0.7, ge=0, le=1, description="fraction of the epochs before solved states enter the loss"
    )
    hamiltonian_decay: float = Field(
        0.1, ge=0, le=1, description="fraction of the weight on H that remains at the end"
    )
    valence_weight: float = Field(0.85, ge=0, le=1, description="label states below are left out")
    energy_limit: float = Field(9.0, gt=0, description="label states above are left out, eV")
    losses: LossWeights = Field(
        default_factory=LossWeights, description="weights of the loss terms (LossWeights)"
    )
    direct_losses: DirectLossWeights = Field(
        default_factory=DirectLossWeights, description="the same for a direct model"
    )
    validate_every: int = Field(5, ge=1, description="epochs between validations")
    seed: int = Field(0, ge=0, lt=2**32, description="seed of initial weights and data order")
    threads: int = Field(1, ge=1, le=1024, description="PyTorch threads")

    @model_validator(mode="after")
    def _repeated_is_among_data(self) -> TrainingConfig:
        other = [str(path) for path in self.repeats if path not in self.data]
        if other:
            raise ValueError(f"repeats names {other[0]}, which is not among data; add it there")
        return self


def _expected(error: Mapping[str, Any]) -> str:
    """Say what a validation error expected, without pydantic's internals."""
    if error["type"] == "union_tag_invalid":
        kinds = error["ctx"]["expected_tags"].translate(str.maketrans("", "", "<>"))
        return f"kind should be one of {kinds}"
    more = {"extra_forbidden": ", expected a known key", "missing": ", expected a value"}
    return f"{error['msg']}{more.get(error['type'], '')}"


def difference(stored: Any, current: Any, name: str) -> str | None:
    """Describe the first entry in which two configurations differ: dotted name and both values.

    Returns None if they are equal.
    """
    if isinstance(stored, dict) and isinstance(current, dict):
        for key in sorted(stored.keys() | current.keys()):
            found = difference(stored.get(key), current.get(key), f"{name}.{key}")
            if found:
                return found
        return None
    return None if stored == current else f"{name} {stored!r}, the configuration says {current!r}"


def load_config(path: str | Path) -> TrainingConfig:
    """Read a training configuration.

    Parameters
    ----------
    path:
        A YAML file. Paths in it are relative to its directory.

    Raises
    ------
    ConfigError
        If the file is missing or malformed, or has unknown keys or wrong types.
    """
    return read_config(path, TrainingConfig)


def read_config(path: str | Path, form: type[Config]) -> Config:
    """Read a configuration of the class ``form`` from a YAML file; see ``load_config``."""
    path = Path(path)
    config = validated(form, read_settings(path), path)
    root = path.resolve().parent
    return config.model_copy(update=with_paths(config, lambda each: root / each))


def with_paths(config: BaseModel, change: Callable[[Path], Any]) -> dict[str, Any]:
    """Apply ``change`` to every path in ``config``; return the changed settings by name."""
    found: dict[str, Any] = {}
    for name, value in config:
        if isinstance(value, Path):
            found[name] = change(value)
        elif isinstance(value, list) and value and all(isinstance(p, Path) for p in value):
            found[name] = [change(each) for each in value]
        elif isinstance(value, dict) and value and all(isinstance(p, Path) for p in value):
            found[name] = {change(each): number for each, number in value.items()}
    return found


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings of a YAML file; ConfigError if it is missing or holds no settings."""
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist: expected a training configuration (YAML); check the path"
        ) from error
    # PyYAML passes on errors of its value constructors, for example for an impossible date.
    except (OSError, ValueError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} is not readable YAML ({' '.join(str(error).split())}): expected keys such as "
            "data, output, epochs; correct the file"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} holds no mapping: expected keys such as data, output, epochs; correct the file"
        )
    return content


def validated(form: type[Config], content: dict[str, Any], path: Path) -> Config:
    """Validate ``content``, read from ``path``, as a ``form``; ConfigError if it is invalid."""
    try:
        return form.model_validate(content)
    except ValidationError as error:
        # A misspelt key also leaves another one missing; name the misspelt one.
        errors = error.errors()
        first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
        # Pydantic's tags (<kind>) are not keys of the file.
        keys = [str(part) for part in first["loc"]]
        where = ".".join(key for key in keys if not key.startswith("<"))
        raise ConfigError(
            f"{path}: {where}: {_expected(first)} (got {reprlib.repr(first['input'])}); correct or "
            "remove that entry"
        ) from error
