"""Trajectories on excited singlets that hop between them, on ASE's velocity Verlet.

The nuclei move on one surface E₀ + ω_a with exact forces; :mod:`esml.physics.surface_hopping`
propagates the electronic amplitudes and decides when to hop. The sign of a state is arbitrary at
every geometry, so each step chooses the sign that makes its transition density continuous. A step
needs the gradient of the active state, its couplings to the states it may hop to, and the time
derivatives of all states along the velocities.

The ground state is not included: if the active state comes near it, the trajectory ends
(``CrossingError``), because a single determinant does not describe that crossing. Triplets are
left out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.md.verlet import VelocityVerlet

from esml.dynamics.relaxation import CROSSING, CrossingError, ground_calculator
from esml.export.plain import (
    charges_from_plain,
    plain_charges,
    plain_solvent,
    solvent_from_plain,
)
from esml.io.files import write_whole
from esml.io.structure_checks import molecular_charge
from esml.io.surroundings import surroundings_of
from esml.physics.surface_hopping import Amplitudes, decohered, hop_target, propagated, rescaled
from esml.predict.couplings import StateCouplings, state_couplings
from esml.predict.surrogate import Surrogate
from esml.typing import Array

FORMAT = "esml-surface-hopping-3"

READ = (FORMAT, "esml-surface-hopping-2")
"""Formats that ``load`` reads; version 2 has neither surroundings nor frames."""


class ActiveSurface(Calculator):
    """Surface E₀ + ω of one of several singlets; the active singlet can be switched."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, ground: Any, model: Surrogate, n_states: int, active: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ground, self.model, self.n_states, self.active = ground, model, n_states, active
        self.couplings: StateCouplings | None = None

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        """Fill ``results`` and ``couplings``."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        self._energy = self.ground.get_property("energy", self.atoms)
        self._forces = self.ground.get_property("forces", self.atoms)
        self.switch(self.active)

    def switch(self, active: int) -> None:
        """Switch to the surface of another singlet (counted from 0)."""
        assert self.atoms is not None
        self.active = active
        self.couplings = state_couplings(self.model, self.atoms, self.n_states, active=active)
        self.results = {
            "energy": self._energy + float(self.couplings.energies[active]),
            "forces": self._forces - self.couplings.gradients[active],
        }


@dataclass(frozen=True)
class Frame:
    """State of a trajectory at one time."""

    time: float  # fs
    active: int  # singlet, from 0
    populations: tuple[float, ...]  # |c|² of all singlets
    potential: float  # eV
    kinetic: float  # eV

    @property
    def total(self) -> float:
        """Total energy, eV; conserved except for the integration error."""
        return self.potential + self.kinetic


class SurfaceHopping:
    """A fewest-switches trajectory between the lowest singlets of a molecule.

        hopping = SurfaceHopping(model, atoms, active=1, n_states=3)   # starts on S2
        for frame in hopping.run(200, save="trajectory.json"): ...
        hopping = SurfaceHopping.load("trajectory.json", model)        # continue from there

    Parameters
    ----------
    model
        A model from ``load_model``.
    atoms
        The molecule with its velocities, and with the solvent or the point charges that
        ``atoms.info`` states.
    active
        Singlet on which the trajectory starts, counted from 0.
    n_states
        Number of singlets included.
    ground
        ASE calculator of E₀; GFN2-xTB of tblite if None. Among point charges it must include them,
        which GFN2-xTB of tblite cannot.
    timestep
        Time step, fs. At the default the total energy changes by about 1 meV per atom between hops.
    seed
        Seed of the random numbers.

    Attributes
    ----------
    frames
        A frame for each step, also before ``save`` and of a ``run`` that raised an exception.
    """

    def __init__(
        self,
        model: Surrogate,
        atoms: Atoms,
        active: int = 0,
        n_states: int = 2,
        ground: Any = None,
        timestep: float = 0.25,
        seed: int = 0,
    ) -> None:
        if not 0 <= active < n_states:
            raise ValueError(
                f"active is {active}: expected one of the {n_states} singlets from 0 on; ask for "
                "more n_states"
            )
        if not 0.0 < timestep < float("inf"):
            raise ValueError(
                f"timestep is {timestep:g} fs: expected more than 0; choose one such as 0.25"
            )
        ground = ground_calculator(atoms, ground)
        self.atoms = atoms.copy()
        self.atoms.set_velocities(atoms.get_velocities())
        self.surface = ActiveSurface(ground, model, n_states, active)
        self.atoms.calc = self.surface
        self.timestep, self.steps = timestep, 0
        self.frames: list[Frame] = []
        self.amplitudes: Amplitudes = np.eye(n_states, dtype=np.complex128)[active]
        self.random = np.random.default_rng(seed)
        self._signs = np.ones(n_states)
        self._last: Array | None = None  # transition densities and signs of the last step
        # The end of a step is the beginning of the next: keep couplings, velocities and τ.
        self._taus: tuple[StateCouplings, Array, Array] | None = None
        self._dynamics = VelocityVerlet(self.atoms, timestep * units.fs)

    @property
    def active(self) -> int:
        """Active singlet, counted from 0."""
        return self.surface.active

    def frame(self) -> Frame:
        """Return the current state of the trajectory."""
        return Frame(
            time=self.steps * self.timestep,
            active=self.active,
            populations=tuple((np.abs(self.amplitudes) ** 2).tolist()),
            potential=float(self.atoms.get_potential_energy()),
            kinetic=float(self.atoms.get_kinetic_energy()),
        )

    def run(self, steps: int, save: str | Path | None = None, every: int = 20) -> list[Frame]:
        """Take ``steps`` steps and return a frame after each.

        Parameters
        ----------
        steps
            Number of steps.
        save
            File to which ``save`` writes the trajectory as it goes; none if None.
        every
            Number of steps between two saves, the most that a killed program loses. The last step
            is saved, too.

        Raises
        ------
        CrossingError
            If the active state comes within 0.3 eV of the ground state; ``frames`` has the steps
            before.
        InstabilityError, StructureError
            As in ``state_couplings``.
        OSError
            As ``save``.
        ValueError
            If ``every`` is less than 1.
        """
        if every < 1:
            raise ValueError(f"every is {every}: expected at least 1 step; choose one such as 20")
        before = len(self.frames)
        for step in range(1, steps + 1):
            self._step()
            if save is not None and (step % every == 0 or step == steps):
                self.save(save)
        return self.frames[before:]

    def _step(self) -> None:
        self.atoms.get_potential_energy()
        before = self._electrons()
        self._dynamics.run(1)
        after = self._electrons()
        self.steps += 1
        energies, taus = (np.stack(pair) for pair in zip(before, after, strict=True))
        population = float(abs(self.amplitudes[self.active]) ** 2)
        self.amplitudes, flow = propagated(self.amplitudes, energies, taus, self.timestep)
        target = hop_target(self.active, population, flow, float(self.random.uniform()))
        if target != self.active:
            self._hop(target, energies[1])
        kinetic = float(self.atoms.get_kinetic_energy())
        self.amplitudes = decohered(
            self.amplitudes, self.active, energies[1], kinetic, self.timestep
        )
        if energies[1][self.active] < CROSSING:
            raise CrossingError(
                f"S{self.active + 1} of {self.atoms.get_chemical_formula()} lies "
                f"{energies[1][self.active]:.2f} eV above the ground state after {self.steps} "
                "steps: the trajectory ends there, for the model does not describe that crossing",
                self.atoms.copy(),
                self.steps,
            )
        self.frames.append(self.frame())

    def _couplings(self) -> StateCouplings:
        found = self.surface.couplings
        assert found is not None
        return found

    def _electrons(self) -> tuple[Array, Array]:
        """Return energies (S,) and τ (S, S), 1/fs, with signs continued from the last step."""
        found = self._couplings()
        densities = found.transition_densities
        if self._last is not None:
            alike = (densities * self._last).sum((1, 2))
            self._signs = np.where(alike < 0, -1.0, 1.0)
        self._last = densities * self._signs[:, None, None]
        velocities = self.atoms.get_velocities() * units.fs  # Å/fs
        if self._taus is None or self._taus[0] is not found or (self._taus[1] != velocities).any():
            self._taus = found, velocities, found.time_derivatives(velocities)
        signs = self._signs[:, None] * self._signs
        return found.energies, signs * self._taus[2]

    def _hop(self, target: int, energies: Array) -> None:
        """Hop to another surface if the kinetic energy suffices; the total energy is conserved."""
        direction = self._couplings().interstate[self.active, target]
        cost = float(energies[target] - energies[self.active])
        velocities = self.atoms.get_velocities() * units.fs
        changed = rescaled(velocities, self.atoms.get_masses(), direction, cost)
        if changed is not None:
            self.atoms.set_velocities(changed / units.fs)
            self.surface.switch(target)

    def save(self, path: str | Path) -> None:
        """Write the frames and all that is needed to continue the trajectory. Raises OSError."""
        around = surroundings_of(self.atoms)
        entry = {
            "format": FORMAT,
            "numbers": self.atoms.numbers.tolist(),
            "masses": self.atoms.get_masses().tolist(),
            "positions": self.atoms.positions.tolist(),
            "velocities": self.atoms.get_velocities().tolist(),
            "charge": molecular_charge(self.atoms),
            "solvent": plain_solvent(around.solvent),
            "point_charges": plain_charges(around.point_charges),
            "active": self.active,
            "steps": self.steps,
            "timestep": self.timestep,
            "amplitudes": [[c.real, c.imag] for c in self.amplitudes.tolist()],
            "densities": None if self._last is None else self._last.tolist(),
            "random": self.random.bit_generator.state,
            "frames": [asdict(frame) for frame in self.frames],
        }
        write_whole(Path(path), json.dumps(entry).encode("utf-8"))

    @classmethod
    def load(cls, path: str | Path, model: Surrogate, ground: Any = None) -> SurfaceHopping:
        """Read a trajectory written by ``save``; give it the same model and calculator of E₀.

        It continues in the same surroundings.

        Parameters
        ----------
        path
            File written by ``save``.
        model
            The model that the trajectory began with.
        ground
            The ASE calculator of E₀ that it began with; GFN2-xTB if None.

        Raises
        ------
        ValueError
            If the file is of another kind.
        """
        entry = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(entry, dict) or entry.get("format") not in READ:
            raise ValueError(
                f"'{path}' is no trajectory that this version of esml reads: expected a file of "
                f"SurfaceHopping.save with format {' or '.join(READ)}; start a new run"
            )
        atoms = Atoms(entry["numbers"], entry["positions"], masses=entry["masses"])
        atoms.info["charge"] = entry["charge"]
        solvent_from_plain(atoms, entry.get("solvent"))
        charges_from_plain(atoms, entry.get("point_charges"))
        atoms.set_velocities(np.array(entry["velocities"]))
        n_states = len(entry["amplitudes"])
        made = cls(model, atoms, entry["active"], n_states, ground, entry["timestep"])
        made.amplitudes = np.array([complex(*c) for c in entry["amplitudes"]])
        made.steps = entry["steps"]
        made._last = None if entry["densities"] is None else np.array(entry["densities"])
        made.random.bit_generator.state = entry["random"]
        made.frames = [
            Frame(**frame | {"populations": tuple(frame["populations"])})
            for frame in entry.get("frames", ())
        ]
        return made
