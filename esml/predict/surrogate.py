"""The surrogate: one trained model for orbitals, excited states and spectra of molecules.

    structure → effective Hamiltonian (network) → orbitals → linear response → excited states

The network runs in the precision of the model, everything after it in double precision, because
excitation energies are small differences of large numbers. Only the iterations for excited states
use the precision of the model again: energies are stationary there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from ase import Atoms
from ase.data import chemical_symbols
from torch import nn

from esml.confidence.domain import Domain
from esml.confidence.uncertainty import ErrorModel
from esml.io.provenance import InputError, Structure, SurroundingsError
from esml.io.structure_checks import StructureError
from esml.io.surroundings import Surroundings, each_within, surroundings_of, within
from esml.model.graph import Graph, build_graph, join
from esml.model.hamiltonian import EffectiveHamiltonian, Operators
from esml.model.local import Local
from esml.physics import orbitals
from esml.physics.basis import ELEMENTS
from esml.physics.excitations import singlets_and_triplets
from esml.physics.medium import Medium
from esml.physics.response import Response
from esml.physics.solvent import Solvent
from esml.physics.strategy import DEFAULT, Strategy
from esml.predict.batching import Batching, Wanted, n_orbitals
from esml.predict.solution import Solution, Stated, results
from esml.predict.stated_errors import stated_errors
from esml.results import Failure, Result, name_of
from esml.results.last_step import LastStep


def _structure(molecule: Atoms | Structure) -> Structure:
    """``molecule`` with its name. Raises InputError for types that only ``esml.predict`` reads."""
    if isinstance(molecule, Structure):
        return molecule
    if isinstance(molecule, Atoms):
        return Structure(molecule, name_of(molecule), "", 0)
    raise InputError(
        f"a molecule is given as {type(molecule).__name__} where ASE Atoms are expected: for "
        "paths, SMILES and other objects call esml.predict(molecule, model=model)"
    )


class Checked(NamedTuple):
    """A structure that the model can treat."""

    atoms: Atoms
    graph: Graph
    around: Surroundings


def medium_around(
    atoms: Atoms, solvent: Solvent | str | None = None, point_charges: Any = None, copies: int = 1
) -> Medium | None:
    """Return the medium of ``copies`` for arguments of ``Surrogate.predict``; None for vacuum."""
    around = surroundings_of(within(atoms, solvent, point_charges))
    return Medium.of([around.solvent] * copies, [around.point_charges] * copies)


class Surrogate(nn.Module):
    """A trained model. ``load_model`` makes one; ``predict`` and ``predict_many`` use it.

    ``batching`` says how ``predict_many`` groups structures and how large they may be.
    """

    def __init__(
        self,
        hamiltonian: EffectiveHamiltonian,
        metadata: dict[str, Any] | None = None,
        domain: Domain | None = None,
        error_model: ErrorModel | None = None,
        strategy: Strategy = DEFAULT,
        batching: Batching | None = None,
    ) -> None:
        super().__init__()
        self.hamiltonian = hamiltonian
        self.metadata = dict(metadata or {})
        self.domain = domain
        self.error_model = error_model
        self.strategy = strategy
        self.batching = batching or Batching()

    def __repr__(self) -> str:
        name = self.metadata.get("name") or "without a name"
        elements = " ".join(chemical_symbols[number] for number in self.elements)
        count = sum(weights.numel() for weights in self.parameters())
        return f"Surrogate({name}, {elements}, {count:,} parameters)"

    def with_batching(self, batching: Batching) -> Surrogate:
        """Return this model with another ``batching``; the weights are shared."""
        parts = (self.hamiltonian, self.metadata, self.domain, self.error_model, self.strategy)
        return Surrogate(*parts, batching)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network."""
        return self.hamiltonian.baseline.dtype

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self.hamiltonian.baseline.device

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the elements in training; before training, all supported elements."""
        return tuple(self.metadata.get("elements", ELEMENTS))

    @property
    def last_step(self) -> LastStep | None:
        """The last step to measured band maxima in solution; None if the model has none."""
        return LastStep.of(self.metadata)

    def graph(self, structures: Sequence[Atoms], elements: Sequence[int] | None = None) -> Graph:
        """Return the graph of ``structures`` for this model.

        Parameters
        ----------
        structures
            The molecules of a batch.
        elements
            Allowed atomic numbers; ``elements`` of the model if None.

        Returns
        -------
        One graph with all molecules.

        Raises
        ------
        StructureError
            For a structure that the model cannot treat.
        """
        if self.device.type == "cpu":
            for atoms in structures:
                self.batching.check_size(atoms)
        allowed = self.elements if elements is None else elements
        cutoff = self.hamiltonian.cutoff
        return build_graph(structures, cutoff, self.dtype, self.device, elements=allowed)

    def forward(
        self,
        graph: Graph,
        n_states: int = 10,
        energy_window: float | None = None,
        n_triplets: int | None = None,
        medium: Medium | None = None,
        local: Local | None = None,
    ) -> Solution:
        """Solve for the molecules of ``graph``.

        Energies, charges and dipoles have exact first derivatives with respect to
        ``graph.positions`` and the weights (see ``esml.physics.excitations`` for transition
        dipoles). Iterations run in the precision of the model, but in double precision if the
        response carries gradients.

        Parameters
        ----------
        graph
            The molecules of a batch.
        n_states
            Number of singlets, and of triplets, for each molecule; fewer if none has that many.
        energy_window
            All states below this energy (eV), in place of a number.
        n_triplets
            Number of triplets; ``n_states`` if None.
        medium
            Medium of the molecules; vacuum if None.
        local
            Local part of the Hamiltonian, from ``EffectiveHamiltonian.local``; computed here if
            None.

        Returns
        -------
        Orbitals, states, charges and dipoles of the batch, as tensors.
        """
        response, operators = self.response(graph, medium, local)
        found, layout = response.orbitals, operators.layout
        most = max(1, int(response.n_available.max()))
        n_singlets = min(n_states, most)
        n_triplets = n_singlets if n_triplets is None else min(n_triplets, most)
        # Errors of gradients are of first order in the residuals of the iterations.
        precision = torch.float64 if response.requires_grad else self.dtype
        of_singlets, of_triplets = singlets_and_triplets(
            response,
            operators.dipole,
            n_singlets,
            n_triplets,
            precision,
            energy_window,
            self.strategy,
            graph.positions.detach().double(),
        )
        return Solution(
            operators=operators,
            orbitals=found,
            response=response,
            singlets=of_singlets,
            triplets=of_triplets,
            charges=orbitals.charges(found, layout),
            dipole=orbitals.dipole(found, layout, graph.positions.double(), operators.dipole),
        )

    def response(
        self, graph: Graph, medium: Medium | None = None, local: Local | None = None
    ) -> tuple[Response, Operators]:
        """Return the response matrices of the molecules of ``graph``, and their operators.

        Parameters
        ----------
        graph, medium, local
            As in ``forward``.

        Returns
        -------
        The response matrices and the operators that the network predicts.
        """
        operators = self.hamiltonian(graph, medium, local).double()
        layout = operators.layout
        found = orbitals.diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        return Response(found, operators.interaction, layout), operators

    def uncertainties(self, graph: Graph, solution: Solution) -> Stated:
        """Return expected errors and verdicts on a ``solution`` of ``graph``: ``stated_errors``."""
        return stated_errors(graph, solution, self.domain, self.error_model, self.metadata)

    def predict(
        self,
        atoms: Atoms | Structure,
        n_states: int = 10,
        energy_window: float | None = None,
        n_triplets: int | None = None,
        solvent: Solvent | str | None = None,
        point_charges: Any = None,
    ) -> Result:
        """Predict orbitals, charges, dipole, lowest singlets and triplets of one molecule.

        If the closed shell is a minimum only to within the model's error, the singlets are given in
        the Tamm–Dancoff approximation, and ``warnings`` of the result say so. ``esml.predict`` also
        takes paths, SMILES and other objects.

        Parameters
        ----------
        atoms
            The molecule.
        n_states
            Number of singlets, and of triplets. If the molecule has fewer excited states in the
            minimal basis, the result has all of them.
        energy_window
            All singlets and triplets below this energy (eV), in place of a number.
        n_triplets
            Number of triplets; ``n_states`` if None. A spectrum needs only one, to check that the
            closed shell is the ground state, and then takes a third less time.
        solvent
            A name such as ``"ethanol"`` (see ``esml.io.surroundings``), a ``Solvent``, or
            ``"vacuum"``. If None, that of ``atoms.info["solvent"]``, or else vacuum.
        point_charges
            Charges around the molecule, in the frame of its coordinates: ``PointCharges``, a file,
            or anything else that ``esml.io.as_point_charges`` takes. If None, those of
            ``atoms.info["point_charges"]``, or else none.

        Returns
        -------
        The result, with its wave functions.

        Raises
        ------
        StructureError
            For a structure that the model cannot treat.
        InstabilityError
            If the predicted closed shell is far from a minimum.
        SurroundingsError
            For an unknown solvent, or point charges that cannot be used.
        ValueError
            For a number of states below 1.
        """
        given = _structure(atoms)
        placed = within(given.atoms, solvent, point_charges)
        wanted = Wanted(n_states, n_triplets, energy_window)
        result = self._solve([self._checked(placed)], wanted)[0]
        if isinstance(result, Exception):
            raise result
        return replace(result, name=given.name, source=given.source, index=given.index)

    def predict_many(
        self,
        structures: Iterable[Atoms | Structure],
        n_states: int = 10,
        errors: Literal["raise", "return"] = "raise",
        wavefunctions: bool = False,
        energy_window: float | None = None,
        n_triplets: int | None = None,
        solvent: Solvent | str | Iterable[Solvent | str | None] | None = None,
        point_charges: Iterable[Any] | None = None,
    ) -> Iterator[Result | Failure]:
        """Predict a stream of structures in batches, in order, with bounded memory.

        Parameters
        ----------
        structures
            The molecules, any iterable of them.
        n_states, energy_window, n_triplets
            As in ``predict``.
        errors
            ``"raise"`` raises the error of a structure that cannot be predicted when its turn
            comes; ``"return"`` yields a ``Failure`` in its place and continues.
        wavefunctions
            Whether results keep orbital coefficients, dipole operator and amplitudes.
        solvent
            One solvent for all structures, or an iterable of solvents; see ``predict``.
        point_charges
            An iterable with the point charges of each structure; see ``predict``.

        Yields
        ------
        A result for each structure, or a ``Failure``.

        Raises
        ------
        InputError
            For an item that is neither ``Atoms`` nor ``Structure``, whatever ``errors`` is.
        StructureError, InstabilityError, SurroundingsError, ValueError
            As in ``predict``, if ``errors`` is ``"raise"``.
        """
        wanted = Wanted(n_states, n_triplets, energy_window)
        if errors not in ("raise", "return"):
            raise ValueError(f"errors must be 'raise' or 'return', got {errors!r}")
        if isinstance(structures, Atoms | str | Path):
            raise InputError(
                "predict_many is given one molecule: expected a list or stream; call predict"
            )
        stream = (
            molecule if isinstance(molecule, Atoms) else _structure(molecule).atoms
            for molecule in structures
        )
        placed = each_within(stream, solvent, point_charges)
        return self._stream(placed, wanted, errors, wavefunctions)

    def _stream(
        self, stream: Iterator[Atoms], wanted: Wanted, errors: str, wavefunctions: bool
    ) -> Iterator[Result | Failure]:
        while window := self.batching.read_ahead(stream):
            outcomes = self._window(window, wanted, wavefunctions)
            for atoms, outcome in zip(window, outcomes, strict=True):
                if isinstance(outcome, Result):
                    yield outcome
                elif errors == "raise":
                    raise outcome
                else:
                    yield Failure.of(atoms, str(outcome))

    def _window(
        self, structures: Sequence[Atoms], wanted: Wanted, wavefunctions: bool
    ) -> list[Result | Exception]:
        """Outcomes in order, computed in batches of molecules of similar size."""
        outcomes: dict[int, Result | Exception] = {}
        checked: dict[int, Checked] = {}
        for index, atoms in enumerate(structures):
            try:
                checked[index] = self._checked(atoms)
            except (StructureError, SurroundingsError) as error:
                outcomes[index] = error
        for batch in self.batching.batches({i: n_orbitals(c.atoms) for i, c in checked.items()}):
            found = self._solve([checked[i] for i in batch], wanted, wavefunctions)
            outcomes.update(zip(batch, found, strict=True))
        return [outcomes[index] for index in range(len(structures))]

    def _checked(self, atoms: Atoms) -> Checked:
        """Check ``atoms`` and build its graph. Raises StructureError, SurroundingsError."""
        return Checked(atoms, self.graph([atoms]), surroundings_of(atoms))

    def _solve(
        self, molecules: Sequence[Checked], wanted: Wanted, wavefunctions: bool = True
    ) -> list[Result | Exception]:
        """Outcomes of one batch; if it fails, molecules are solved one at a time."""
        around = [molecule.around for molecule in molecules]
        try:
            medium = Medium.of([s.solvent for s in around], [s.point_charges for s in around])
            with torch.no_grad():
                graph = join([molecule.graph for molecule in molecules])
                asked = wanted.n_states, wanted.energy_window, wanted.n_triplets
                solution = self(graph, *asked, medium)
                stated = self.uncertainties(graph, solution)
        except (ValueError, RuntimeError) as error:
            if len(molecules) == 1:
                return [error]
            return [self._solve([each], wanted, wavefunctions)[0] for each in molecules]
        structures = [molecule.atoms for molecule in molecules]
        return results(structures, around, solution, stated, wavefunctions)
