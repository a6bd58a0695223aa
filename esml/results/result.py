"""The outcome for one molecule: a ``Result``, or a ``Failure``.

Over 400 lines: everything that follows from a result is a method of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from html import escape
from typing import Any, TypeVar

from ase import Atoms

from esml.analysis.bonding import Bonding, analyze
from esml.analysis.characters import (
    Character,
    MissingWavefunctionsError,
    Wavefunctions,
    characterize,
)
from esml.analysis.colour import Colour
from esml.analysis.dichroism import Dichroism, broaden_dichroism
from esml.analysis.emission import radiative_lifetime
from esml.analysis.group_names import group_names, molecular_graph
from esml.analysis.point_group import PointGroup, point_group
from esml.analysis.solvation import Solvation, solvation
from esml.analysis.spectrum import Shape, Spectrum, broaden
from esml.analysis.spin_orbit import SpinOrbit, spin_orbit
from esml.analysis.transitions import (
    ExcitedStateAbsorption,
    density_between,
    excited_state_absorption,
    state_charges,
    state_dipoles,
)
from esml.io.provenance import Failure
from esml.physics.point_charges import PointCharges
from esml.physics.solvent import Solvent
from esml.results.band_maximum import BandMaximum, expected_colour
from esml.results.states import PROPERTIES, States, html_table, screen_table
from esml.typing import (
    MULTIPLICITIES,
    Array,
    Multiplicity,
    MultiplicityName,
    as_multiplicity,
    renamed,
    same,
)

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The prediction for one molecule.

    The wave functions (``coefficients``, ``dipole_operator`` and the amplitudes of the states) take
    most of the memory, growing with the square of the molecule's size. ``Surrogate.predict``
    includes them, ``Surrogate.predict_many`` only on request; otherwise they are None. Amplitudes
    belong to these ``coefficients``, with their signs and their choice of degenerate orbitals. A
    result read from a file has neither wave functions nor the Hamiltonian.

    Bonding, point group, characters and spectra are computed on first use and kept.
    """

    atoms: Atoms
    """The molecule: elements, positions (Å), and further data from its input."""
    orbital_energies: Array
    """(n_orbitals,) energies of the valence orbitals, eV, ascending."""
    n_occupied: int
    """Number of doubly occupied orbitals."""
    charges: Array
    """(n_atoms,) atomic charges, e."""
    dipole: Array
    """(3,) dipole moment, debye."""
    singlets: States
    """Excited singlet states."""
    triplets: States
    """Triplet states, relative to the singlet ground state."""
    hamiltonian: Array | None = None
    """(n_orbitals, n_orbitals) effective Hamiltonian, eV, in the minimal basis."""
    coefficients: Array | None = None
    """(n_orbitals, n_orbitals) canonical orbitals in columns."""
    dipole_operator: Array | None = None
    """(3, n_orbitals, n_orbitals) position ⟨μ|r|ν⟩, e·bohr."""
    in_domain: bool = True
    """Whether the molecule is like those the model was trained on."""
    warnings: tuple[str, ...] = ()
    """Why it is out of domain, and other warnings about the prediction."""
    solvent: Solvent | None = None
    """The solvent, or None in vacuum."""
    point_charges: PointCharges | None = None
    """Point charges around the molecule, or None."""
    band_maximum: BandMaximum | None = None
    """Maximum of the lowest band to expect in a measured spectrum
    (``esml.results.last_step.with_band_maximum``); None in vacuum, or if it was not asked for."""
    name: str = ""
    """Name of the molecule, or its formula."""
    source: str = ""
    """File or SMILES of the structure."""
    index: int = 0
    """Index among the structures of its source."""

    @property
    def homo(self) -> float:
        """Energy of the highest occupied orbital, eV; nan if there is none."""
        occupied = self.orbital_energies[: self.n_occupied]
        return float(occupied[-1]) if len(occupied) else float("nan")

    @property
    def lumo(self) -> float:
        """Energy of the lowest unoccupied orbital, eV; nan if there is none."""
        virtual = self.orbital_energies[self.n_occupied :]
        return float(virtual[0]) if len(virtual) else float("nan")

    @property
    def gap(self) -> float:
        """HOMO–LUMO gap, eV."""
        return self.lumo - self.homo

    @property
    def surroundings(self) -> str:
        """What is around the molecule, in words: ``in vacuum``, ``in ethanol``, ``among …``."""
        if self.point_charges is not None:
            return f"among {self.point_charges}"
        if self.solvent is None:
            return "in vacuum"
        return f"in {self.solvent.name or f'a solvent of {self.solvent}'}"

    @property
    def numbers(self) -> Any:
        """(n_atoms,) atomic numbers."""
        return self.atoms.numbers

    @property
    def positions(self) -> Array:
        """(n_atoms, 3) positions, Å."""
        positions: Array = self.atoms.positions
        return positions

    @renamed(kind="multiplicity")
    def states(self, multiplicity: MultiplicityName = "singlet") -> States:
        """Return ``singlets`` or ``triplets``, by name."""
        return self.singlets if as_multiplicity(multiplicity) == "singlet" else self.triplets

    @renamed(kind="multiplicity")
    def wavefunctions(self, multiplicity: MultiplicityName = "singlet") -> Wavefunctions:
        """Return the orbitals and the amplitudes of the excited states.

        Raises
        ------
        MissingWavefunctionsError
            If ``predict_many`` left them out, or the result was read from a file.
        """
        states = self.states(multiplicity)
        if self.coefficients is None or states.X is None or states.Y is None:
            raise MissingWavefunctionsError(
                "this result carries no wave functions: expected one of predict, or of "
                "predict_many(…, wavefunctions=True); model.predict(result.atoms) gives them"
            )
        return Wavefunctions(
            atoms=self.atoms,
            coefficients=self.coefficients,
            orbital_energies=self.orbital_energies,
            n_occupied=self.n_occupied,
            energies=states.energies,
            X=states.X,
            Y=states.Y,
        )

    def state_dipoles(self, multiplicity: MultiplicityName = "singlet") -> Array:
        """Return the dipoles (n_states, 3) of the excited states, debye, before orbitals relax.

        With everything that relaxes: ``esml.predict.dipoles.relaxed_dipoles``.

        Raises as ``wavefunctions``.
        """
        states = self.wavefunctions(multiplicity)
        assert self.dipole_operator is not None
        return state_dipoles(states, self.dipole_operator, self.dipole)

    def state_charges(self, multiplicity: MultiplicityName = "singlet") -> Array:
        """Return the atomic charges (n_states, n_atoms) of the states, e, before orbitals relax.

        With everything that relaxes: ``esml.predict.charges.relaxed_charges``.

        Raises as ``wavefunctions``.
        """
        return state_charges(self.wavefunctions(multiplicity), self.charges)

    def solvation(self, multiplicity: MultiplicityName = "singlet") -> Solvation:
        """Return the state-specific solvent terms; raises as ``wavefunctions``."""
        changes = self.state_charges(multiplicity) - self.charges
        return solvation(self.atoms, changes, self.solvent)

    def excited_state_absorption(self, state: str = "S1") -> ExcitedStateAbsorption:
        """Return the absorption of ``state`` (S1, T1, …) to others of its multiplicity.

        Raises
        ------
        MissingWavefunctionsError
            As ``wavefunctions``.
        ValueError
            For a state that was not computed.
        """
        states, place = self._place(state)
        assert self.dipole_operator is not None
        return excited_state_absorption(states, self.dipole_operator, place, state[0])

    def density_between(self, bra: str, ket: str) -> Array:
        """Return the transition density matrix (n_orbitals, n_orbitals) of two excited states.

        Σ_μν ρ_μν O_μν is the matrix element ⟨I|O|J⟩ of an operator O in the minimal basis, such as
        ``dipole_operator``; see ``esml.analysis.transitions.density_between``.

        Parameters
        ----------
        bra, ket
            I and J (S1, T1, …), of one multiplicity; exchanging them transposes ρ.

        Raises
        ------
        MissingWavefunctionsError
            As ``wavefunctions``.
        ValueError
            For a state that was not computed, or states of different multiplicity.
        """
        (states, row), (_, column) = self._place(bra), self._place(ket)
        if bra[0] != ket[0]:
            raise ValueError(
                f"states are {bra} and {ket}: expected two singlets or two triplets, since no "
                "operator without spin couples others; choose two of one kind"
            )
        return density_between(states, row, column)

    def multiplicity_of(self, state: str) -> Multiplicity:
        """Return the multiplicity of ``state`` (S1, T1, …).

        Raises ValueError for a state that was not computed.
        """
        for multiplicity in MULTIPLICITIES:
            if state in self.states(multiplicity).labels:
                return multiplicity
        there = [*self.singlets.labels[-1:], *self.triplets.labels[-1:]]
        raise ValueError(
            f"state is {state!r}: expected one of those predicted, up to {' or '.join(there)}; "
            "ask for more states"
        )

    def _place(self, state: str) -> tuple[Wavefunctions, int]:
        """The states of the multiplicity of ``state``, and its place among them."""
        multiplicity = self.multiplicity_of(state)
        return self.wavefunctions(multiplicity), self.states(multiplicity).labels.index(state)

    def spin_orbit(self) -> SpinOrbit:
        """Return the spin–orbit couplings of singlets and triplets, and phosphorescence.

        Raises as ``wavefunctions``.
        """
        singlets, triplets = (self.wavefunctions(each) for each in MULTIPLICITIES)
        assert self.dipole_operator is not None
        return spin_orbit(
            singlets, triplets, self.dipole_operator, self.singlets.transition_dipoles
        )

    def radiative_lifetimes(self, refractive_index: float = 1.0) -> Array:
        """Return the radiative lifetimes of the singlets at these energies.

        Parameters
        ----------
        refractive_index
            Refractive index of the solvent; 1 in vacuum.

        Returns
        -------
        (n_states,) lifetimes, s.
        """
        states = self.singlets
        return radiative_lifetime(states.energies, states.oscillator_strengths, refractive_index)

    @cached_property
    def bonding(self) -> Bonding:
        """Bonds, π system, lone pairs and fragments; raises as ``wavefunctions``."""
        states = self.wavefunctions()
        return analyze(self.atoms, states.coefficients, self.n_occupied)

    @cached_property
    def point_group(self) -> PointGroup:
        """Point group of the geometry."""
        return point_group(self.atoms)

    @renamed(kind="multiplicity")
    def characters(
        self,
        multiplicity: MultiplicityName = "singlet",
        fragments: Sequence[Sequence[int]] | None = None,
    ) -> list[Character]:
        """Return the character of each excited state (``esml.analysis.characters``).

        Parameters
        ----------
        multiplicity
            ``"singlet"`` or ``"triplet"``.
        fragments
            Lists of atoms (from 0) between which charge transfer is counted; by default the
            fragments of ``bonding``.

        Raises
        ------
        MissingWavefunctionsError
            As ``wavefunctions``.
        FragmentError
            If the lists do not fit the molecule.
        """
        chosen = as_multiplicity(multiplicity)
        if fragments is not None:
            return characterize(self.wavefunctions(chosen), fragments, group=self.point_group)
        kept = self._once(
            ("characters", chosen),
            lambda: characterize(
                self.wavefunctions(chosen), bonding=self.bonding, group=self.point_group
            ),
        )
        return list(kept)

    @cached_property
    def graph(self) -> Any:
        """The RDKit molecule with the bonds of ``bonding``; None without RDKit."""
        return molecular_graph(self.atoms, self.bonding.bonds)

    def named_characters(self, multiplicity: MultiplicityName = "singlet") -> list[Character]:
        """Return ``characters`` with common names of groups: ``nitro`` for ``NO2``, as on screen.

        A group without a name keeps its formula; without RDKit, all groups do.
        """
        names = group_names(self.bonding.fragments, self.graph)
        return [found.renamed(names) for found in self.characters(multiplicity)]

    def descriptions(self) -> dict[str, list[str]]:
        """Return a line on each state, by multiplicity; empty without wave functions."""
        if self.coefficients is None:
            return {}
        return {
            each: [found.description for found in self.named_characters(each)]
            for each in MULTIPLICITIES
        }

    def spectrum(self, fwhm: float = 0.3, shape: Shape = "gaussian") -> Spectrum:
        """Return the absorption spectrum of the singlets.

        Parameters
        ----------
        fwhm
            Full width of a line at half maximum, eV.
        shape
            ``"gaussian"`` or ``"lorentzian"``.

        Returns
        -------
        The spectrum, which is computed once for each width and shape.
        """
        return self._once(("spectrum", fwhm, shape), lambda: self._broadened(fwhm, shape))

    def _broadened(self, fwhm: float, shape: Shape) -> Spectrum:
        """The spectrum, read-only because it is kept."""
        singlets = self.singlets
        curve = broaden(
            singlets.energies,
            singlets.oscillator_strengths,
            fwhm=fwhm,
            shape=shape,
            labels=singlets.labels,
        )
        for values in (curve.energies, curve.absorption, curve.stick_energies):
            values.flags.writeable = False
        curve.stick_strengths.flags.writeable = False
        return curve

    @property
    def absorption_max_nm(self) -> float:
        """Maximum (nm) of the lowest absorption band, lines 0.3 eV wide; nan without a band.

        Bands at wavelengths below 180 nm, where air absorbs, do not count
        (``esml.analysis.absorption``).
        """
        return self.spectrum().absorption_max_nm if len(self.singlets) else float("nan")

    @property
    def colour(self) -> Colour | None:
        """Colour of a solution of 5·10⁻⁵ mol/L, path 1 cm, lines 0.3 eV wide.

        See ``esml.analysis.colour``. None without a singlet.
        """
        if not len(self.singlets):
            return None
        return self._once("colour", lambda: expected_colour(self.spectrum(), self.band_maximum))

    def dichroism(self, fwhm: float = 0.3, shape: Shape = "gaussian") -> Dichroism:
        """Return the circular dichroism Δε of the singlets, broadened to ``fwhm`` (eV).

        Parameters
        ----------
        fwhm
            Width of each line, eV.
        shape
            Line shape, as in ``spectrum``.

        Raises
        ------
        ValueError
            If the result is from a file of an older version, without rotatory strengths.
        """
        singlets = self.singlets
        return broaden_dichroism(
            singlets.energies, singlets.rotatory_strengths, fwhm=fwhm, shape=shape
        )

    @cached_property
    def _kept(self) -> dict[Hashable, Any]:
        """Kept values, by key."""
        return {}

    def _once(self, question: Hashable, find: Callable[[], Answer]) -> Answer:
        """The value of ``find()``, called only once for each ``question``."""
        if question not in self._kept:
            self._kept[question] = find()
        answer: Answer = self._kept[question]
        return answer

    def to_dataframe(self) -> Any:
        """Return a pandas table with a row for every state; needs pandas.

        The index is S1, S2, …, T1, …; columns are ``multiplicity``, ``energy_eV``,
        ``wavelength_nm``, the other properties of ``States`` that have a column, such as ``f``, in
        the units given there, and, with wave functions, ``character``, as on screen. Values are 0
        if zero by symmetry and nan if unknown; properties that were not requested have no column.
        """
        import pandas as pd

        tables, extras = [], self.singlets.extras
        for states in (self.singlets, self.triplets):
            columns: dict[str, Any] = {"multiplicity": states.multiplicity}
            for name, how in PROPERTIES.items():
                if how.column and (not how.optional or name in extras):
                    columns[how.column] = getattr(states, name)
                if name == "energies":
                    columns["wavelength_nm"] = states.wavelengths
            if self.coefficients is not None:
                characters = self.named_characters(states.multiplicity)
                columns["character"] = [character.description for character in characters]
            tables.append(pd.DataFrame(columns, index=pd.Index(states.labels, name="state")))
        return pd.concat(tables)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and same(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        """The prediction, without values that were derived from it."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def __repr__(self) -> str:
        parts = [self.atoms.get_chemical_formula(), f"gap {self.gap:.2f} eV"]
        for states in (self.singlets, self.triplets):
            if len(states):
                plural = "" if len(states) == 1 else "s"
                parts.append(
                    f"{len(states)} {states.multiplicity}{plural} from {states.energies[0]:.2f} eV"
                )
        if self.solvent is not None:
            parts.append(f"in {self.solvent}")
        if self.point_charges is not None:
            parts.append(f"among {self.point_charges}")
        if not self.in_domain:
            parts.append("outside the training domain")
        return f"Result({', '.join(parts)})"

    def _repr_html_(self) -> str:
        heading, rows = screen_table(
            self.singlets,
            self.triplets,
            remarks=self.descriptions(),
            requested=self.singlets.extras,
        )
        title = f"{self.name or self.atoms.get_chemical_formula()}: {self!r}"
        return f"<p>{escape(title)}</p>{html_table(heading, rows)}"


Outcome = Result | Failure
"""The outcome for a structure."""
