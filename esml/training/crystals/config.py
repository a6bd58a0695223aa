"""What ``esml train`` reads for a model of crystals."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from esml.model.crystals import CrystalConfig


class CrystalLossWeights(BaseModel):
    """Weights of the loss terms. Each is a mean of its quantity, in the unit given."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    energies: float = Field(1.0, ge=0, description="band energies from the Fermi level, eV")
    states: float = Field(0.2, ge=0, description="H between the reference's states, eV")
    d_centres: float = Field(1.0, ge=0, description="d-band centres of atoms, eV")
    d_populations: float = Field(0.7, ge=0, description="d electrons of atoms, e")
    tables: float = Field(0.1, ge=0, description="distance of the tables from the fit of H(R)")


class CrystalTrainingConfig(BaseModel):
    """Settings of a training run of crystals."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: list[Path] = Field(description="shards or directories of shards")
    output: Path = Field(description="directory of the run: model.safetensors, state, log")
    name: str = Field("solids", description="name written into the model file")
    model: CrystalConfig = Field(description="the model to train")
    stiffness: float = Field(1.0, gt=0, description="ridges of the first fit times this")
    epochs: int = Field(200, ge=1, le=10**6, description="passes over the training crystals")
    batch_size: int = Field(5, ge=1, le=10**4, description="crystals per step")
    k_points: int = Field(6, ge=1, le=10**4, description="k points of a crystal in a step")
    learning_rate: float = Field(3e-5, gt=0, description="peak, of levels, hopping and field")
    exponent_rate: float = Field(1e-4, gt=0, description="peak, of the exponent of W")
    field_decay: float = Field(
        0.4, gt=0, description="Å; steps of the crystal field mean less for pairs farther away"
    )
    warmup: float = Field(0.15, ge=0, lt=1, description="part of the steps with rising rates")
    gradient_clip: float = Field(1.0, gt=0, description="largest gradient norm")
    losses: CrystalLossWeights = Field(
        default_factory=CrystalLossWeights, description="weights of the loss terms"
    )
    validate_every: int = Field(20, ge=1, description="epochs between validations")
    seed: int = Field(0, ge=0, lt=2**32, description="seed of k points and of the data's order")
    threads: int = Field(1, ge=1, le=1024, description="PyTorch threads")
