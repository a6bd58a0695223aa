"""Predict the bands of crystals with a trained model, such as ``load_model("solids")``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from esml.confidence.crystals import CrystalDomain
from esml.io.structure_checks import StructureError, check_crystal
from esml.model import checkpoint
from esml.model.crystals import CrystalModel, crystal_model
from esml.physics.crystals import (
    Bands,
    PeriodicHamiltonian,
    k_mesh,
    neutral_shifts,
    orbitals_of,
    shifted,
)
from esml.physics.crystals.bloch import three_divisions
from esml.physics.crystals.ewald import PolarizationError
from esml.physics.crystals.shells import VALENCE_ELECTRONS, net_formal_charge
from esml.results.crystal import Crystal
from esml.typing import Array

LENGTH, FEWEST = 28.0, 3
"""Target of divisions times lattice vector, Å, and smallest number of divisions."""
NEUTRAL_LENGTH, NEUTRAL_FEWEST = 18.0, 2
"""The same for the search of shifts, which takes several diagonalizations."""
SETTLED = 1e-3
"""eV; the search stops at a Newton step this small, with at most a third of it as error."""
SMALL_GAP = 0.3
"""eV; an insulator with a smaller predicted gap is doubtful: valence bands of the six such cells of
data/electrolytes are off by 0.18 eV on average, those of the other 113 by 0.06 eV."""
COARSE_METAL, COARSE_INSULATOR = 13.5, 11.5
"""Å; a mesh with a smaller product of divisions and lattice vector is too coarse. d-band centres of
elements and of cells of four atoms are off by up to 0.26 eV below (copper at 12.8 Å), by up to
0.08 eV at 14 to 18 Å; gaps of Li3PS4 by 0.3 to 0.6 eV at 8 Å, by up to 0.03 eV at 12 Å."""
MOST_BYTES = 6 * 2**30
"""Largest size in bytes of the states of one crystal, which are kept in memory."""


def divisions_of(cell: Array, length: float = LENGTH, fewest: int = FEWEST) -> tuple[int, int, int]:
    """Return the divisions of a k mesh for a cell (3, 3), Å."""
    a, b, c = (max(fewest, round(length / float(x))) for x in np.linalg.norm(cell, axis=1))
    return a, b, c


def coarseness(cell: Array, divisions: Sequence[int], insulating: bool) -> list[str]:
    """Return a sentence if the mesh is too coarse for a cell (3, 3), Å, of this kind."""
    least = COARSE_INSULATOR if insulating else COARSE_METAL
    length = float((np.asarray(divisions) * np.linalg.norm(cell, axis=1)).min())
    if length >= least:
        return []
    mesh = "×".join(map(str, divisions))
    return [
        f"the {mesh} k mesh is coarse: division times lattice vector is {length:.1f} Å where "
        f"{least:g} Å or more are expected, and levels may be off by some tenths of an eV; leave "
        "k_points out or ask for more"
    ]


class CrystalSurrogate:
    """A trained model of crystals. ``predict`` takes ASE Atoms with a cell."""

    def __init__(self, model: CrystalModel, metadata: dict[str, Any] | None = None) -> None:
        self.model = model.eval()
        self.metadata = dict(metadata or {})
        self.domain = (
            CrystalDomain.from_plain(self.metadata["domain"]) if "domain" in self.metadata else None
        )

    @property
    def device(self) -> torch.device:
        """Device that computes; results are always in CPU memory."""
        return self.model.exponent.device

    def to(self, device: torch.device | str) -> CrystalSurrogate:
        """Move the parameters to ``device``, in double precision; return the model itself."""
        self.model.to(device)
        return self

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the supported elements."""
        return self.model.config.elements

    @torch.no_grad()
    def predict(self, atoms: Atoms, k_points: Sequence[int] | None = None) -> Crystal:
        """Predict bands, Fermi level and the properties that follow from them.

        Parameters
        ----------
        atoms:
            A crystal of the model's elements, periodic in three directions.
        k_points:
            Divisions of the k mesh; if left out, enough for a supercell of about 28 Å.

        Raises
        ------
        StructureError
            For anything but ``Atoms``, if the model cannot treat the structure, or if its states
            would take too much memory.
        ValueError
            If ``k_points`` are not three positive integers.
        """
        if not isinstance(atoms, Atoms):
            raise StructureError(
                f"a crystal is given as {type(atoms).__name__} where ASE Atoms are expected: read "
                "files with ase.io.read"
            )
        check_crystal(atoms, self.elements)
        wanted = divisions_of(atoms.cell.array) if k_points is None else k_points
        divisions = three_divisions(wanted)
        n_points = len(k_mesh(divisions).weights)
        orbitals = self.model.two_centre.n_orbitals * len(atoms)
        size = 16 * n_points * orbitals**2
        if size > MOST_BYTES:
            raise StructureError(
                f"{len(atoms)} atoms at {n_points} k points have states of "
                f"{size / 2**30:.0f} GiB where at most {MOST_BYTES / 2**30:.0f} GiB are kept: ask "
                "for fewer, as with k_points=(1, 1, 1), or a smaller cell"
            )
        numbers = atoms.numbers.tolist()
        electrons = sum(VALENCE_ELECTRONS[z] for z in numbers)
        with self.device:  # intermediate tensors are created there
            h, shifts = self._neutral(atoms, numbers, divisions)
            config = self.model.config
            if config.insulating:
                _check_insulator(atoms, electrons, h.n_orbitals)
            mesh = Bands.of(h, k_mesh(divisions), electrons, config.smearing, config.insulating)
        reasons = self._reasons(atoms, mesh.gap)
        remarks = coarseness(atoms.cell.array, divisions, config.insulating)
        return Crystal(
            atoms=atoms.copy(),
            hamiltonian=_on_cpu(h),
            mesh=_on_cpu(mesh),
            divisions=divisions,
            shifts=shifts,
            name=str(atoms.info.get("name", atoms.get_chemical_formula())),
            warnings=(*reasons, *remarks),
            in_domain=not reasons,
            model=self.metadata,
        )

    def _neutral(
        self, atoms: Atoms, numbers: list[int], most: Sequence[int]
    ) -> tuple[PeriodicHamiltonian, Array]:
        """The Hamiltonian with shifted d levels, and the shifts (N,), eV."""
        config = self.model.config
        try:
            h: PeriodicHamiltonian = self.model(numbers, atoms.cell.array, atoms.positions)
        except PolarizationError as error:
            raise StructureError(str(error)) from error
        if config.insulating or config.shift_error == 0.0:
            return h, np.zeros(len(numbers))
        mesh = divisions_of(atoms.cell.array, NEUTRAL_LENGTH, NEUTRAL_FEWEST)
        coarser = [min(n, m) for n, m in zip(mesh, most, strict=True)]
        groups = orbitals_of(numbers, "d")
        targets = self.model.d_populations[self.model.two_centre.rows(numbers)]
        shifts = neutral_shifts(
            h,
            k_mesh(coarser),
            sum(VALENCE_ELECTRONS[z] for z in numbers),
            config.smearing,
            groups,
            targets,
            config.population_error,
            config.shift_error,
            SETTLED,
        )
        found: Array = shifts.cpu().numpy()
        return shifted(h, groups, shifts), found

    def _reasons(self, atoms: Atoms, gap: float) -> list[str]:
        """Why the crystal is out of domain, one sentence each."""
        said = [] if self.domain is None else self.domain.reasons(atoms)
        if np.any(np.abs(atoms.get_initial_magnetic_moments()) > 0.0):
            said.append("magnetic moments are ignored: the model is of non-magnetic crystals")
        electrons = sum(VALENCE_ELECTRONS[z] for z in atoms.numbers.tolist())
        if self.model.config.insulating and electrons % 2:
            said.append(
                f"the cell has an odd number of valence electrons ({electrons}): it is "
                "not an insulator and has no gap"
            )
        elif self.model.config.insulating and (net := net_formal_charge(atoms.numbers.tolist())):
            said.append(
                f"formal charges (such as Li +1, P +5, S −2, Cl −1) add up to {net:+d} where a "
                "neutral cell is expected: ions are missing or too many, and its gap is not that "
                "of an insulator"
            )
        elif self.model.config.insulating and gap < SMALL_GAP:
            said.append(
                f"the predicted gap is only {gap:.2f} eV: a field between unlike layers may nearly "
                "close it, and then gap and levels are off by some tenths of an eV"
            )
        return said


def _check_insulator(atoms: Atoms, electrons: int, orbitals: int) -> None:
    """Refuse a crystal without a filled or without an empty band. Raises StructureError."""
    if electrons < 2 or (electrons + 1) // 2 >= orbitals:
        raise StructureError(
            f"{atoms.symbols} has no {'empty' if electrons > 1 else 'filled'} band (valence "
            f"electrons: {electrons}, orbitals: {orbitals}) where an insulator such as Li2S is "
            "expected, because the model is one of insulators: give the whole compound or choose "
            "a model of metals"
        )


def _on_cpu(part: Any) -> Any:
    """Copy a dataclass, with nested dataclasses, to CPU memory."""
    changed: dict[str, Any] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, torch.Tensor):
            changed[field.name] = value.cpu()
        elif is_dataclass(value):
            changed[field.name] = _on_cpu(value)
    return replace(part, **changed)


def save_crystal_model(surrogate: CrystalSurrogate, path: str | Path) -> None:
    """Write a model of crystals to one safetensors file. Raises CheckpointError if it fails."""
    content = checkpoint.Checkpoint(
        state=dict(surrogate.model.state_dict()),
        config=surrogate.model.config.model_dump(mode="json"),
        metadata=surrogate.metadata,
    )
    checkpoint.save(path, content)


def crystal_surrogate(found: checkpoint.Checkpoint) -> CrystalSurrogate:
    """Make the model from a model file. Raises ValueError or RuntimeError if it does not fit."""
    with checkpoint.no_larger_than(found.state):
        model = crystal_model(found.config)
    model.load_state_dict(found.state)
    return CrystalSurrogate(model, found.metadata)
