"""A model of crystals with made-up tables, small crystals, and records whose truth it is."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk

from esml.confidence.crystals import CrystalDomain
from esml.io.records import CrystalRecord
from esml.model.crystals import CrystalConfig, CrystalModel
from esml.physics.crystals import k_mesh
from esml.physics.crystals.shells import VALENCE_ELECTRONS
from esml.predict.crystals import CrystalSurrogate

ELEMENTS = (28, 29)


def alloy(seed: int = 0, symbols: str = "NiCuNiNi") -> Atoms:
    """A rattled cubic cell."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Ni", "fcc", a=3.55, cubic=True)
    atoms.set_initial_magnetic_moments(None)
    atoms.symbols = symbols
    atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
    return atoms


def made_up(shift_error: float = 0.1) -> CrystalSurrogate:
    """Smooth tables with levels like those of nickel and copper."""
    generator = torch.Generator().manual_seed(5)
    config = CrystalConfig(
        elements=ELEMENTS, cutoff=4.5, n_radial=3, shift_error=shift_error, smearing=0.3
    )
    model = CrystalModel(config)
    tables = model.two_centre
    levels = torch.tensor([[-1.0, 6.0, -1.0], [-1.0, 6.0, -1.5]], dtype=torch.float64)
    tables.levels.data = levels
    for table, size in ((tables.hopping, 0.4), (tables.field, 0.1), (model.exponent, 0.02)):
        table.data = size * torch.randn(table.shape, generator=generator, dtype=torch.float64)
    model.d_populations.copy_(torch.tensor([8.7, 9.6]))
    domain = CrystalDomain.of([alloy(seed) for seed in range(3)])
    return CrystalSurrogate(model, {"name": "made up", "domain": domain.plain()})


def record_of(
    atoms: Atoms,
    split: str,
    divisions: tuple[int, int, int] = (3, 3, 3),
    truth: CrystalSurrogate | None = None,
) -> CrystalRecord:
    """What a reference calculation stores; the truth is ``made_up`` without shifts, or given."""
    truth = made_up(shift_error=0.0) if truth is None else truth
    crystal = truth.predict(atoms, divisions)
    points = k_mesh(divisions)
    energies = torch.linalg.eigvalsh(crystal.real_space.at(points.fractional))
    half = crystal.real_space.half()
    blocks = half.blocks.clone()
    blocks[(half.images == 0).all(1)] -= crystal.mesh.zero * torch.eye(blocks.shape[1])
    key = f"{atoms.symbols} {atoms.positions.sum():.6f}"
    return CrystalRecord(
        numbers=atoms.numbers,
        positions=atoms.positions,
        cell=atoms.cell.array,
        divisions=np.array(divisions),
        dense_divisions=np.array(divisions),
        k_points=points.fractional.numpy(),
        k_weights=points.weights.numpy(),
        n_electrons=np.asarray(sum(VALENCE_ELECTRONS[z] for z in atoms.numbers.tolist())),
        total_energy=np.asarray(0.0),
        fermi_level=np.asarray(0.0),
        mesh_fermi_level=np.asarray(0.0),
        images=half.images.numpy(),
        blocks=blocks.numpy(),
        energies=(energies - crystal.mesh.zero).numpy(),
        n_exact=np.full(len(points.weights), energies.shape[1]),
        populations=crystal.populations,
        d_centres=crystal.d_band_centres[np.isfinite(crystal.d_band_centres)],
        key=key,
        name=key,
        split=split,
        lattice="fcc",
        family="",
        level="{}",
        provenance="{}",
    )


def li2s(seed: int = 0) -> Atoms:
    """A displaced cell of the antifluorite structure."""
    rng = np.random.default_rng(seed)
    atoms = bulk("SLiLi", "fluorite", a=5.72)
    atoms.positions += rng.normal(0, 0.12, atoms.positions.shape)
    return atoms


def electrolyte_model() -> CrystalSurrogate:
    """An insulator with made-up tables: sulfur's s and p filled, lithium's far above."""
    generator = torch.Generator().manual_seed(6)
    config = CrystalConfig(elements=(3, 16), cutoff=5.0, n_radial=3, smearing=0.05, insulating=True)
    model = CrystalModel(config)
    tables = model.two_centre
    tables.levels.data = torch.tensor([[6.0, 9.0], [-11.0, 0.0]], dtype=torch.float64)
    for table, size in (
        (tables.hopping, 0.3), (tables.field, 0.05), (model.exponent, 0.01),
        (tables.charges, 0.2), (tables.share, 0.3),
    ):  # fmt: skip
        table.data = size * torch.randn(table.shape, generator=generator, dtype=torch.float64)
    domain = CrystalDomain.of([li2s(seed) for seed in range(3)])
    return CrystalSurrogate(model, {"name": "made-up ions", "domain": domain.plain()})
