"""The surrogate: from structures to orbitals, excitations and spectra, with one trained model.

    structure → effective Hamiltonian (network) → orbitals → linear response → excited states

The network runs in the model's own precision, everything after it in double precision, for
differences of large numbers are what excitation energies are made of. Only the iterations towards
excited states run in the model's precision again: energies are stationary there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor, nn

from esml import checkpoint, orbitals, spectrum
from esml.basis import orbitals_per_atom
from esml.characters import Character, MissingWavefunctionsError, Wavefunctions, characterize
from esml.domain import Domain, Verdict, unfamiliar
from esml.excitations import Excitations, InstabilityError, singlets, triplets
from esml.graph import Graph, StructureError, build_graph, check_structure
from esml.hamiltonian import EffectiveHamiltonian, Operators, from_config
from esml.orbitals import Orbitals
from esml.response import Response
from esml.uncertainty import ErrorModel, descriptors, of_atoms
from esml.units import DEBYE

Array = NDArray[np.float64]

DEFAULT_MODEL = "default"
"""Name of the model ``load_model()`` loads."""

WINDOW = 256
"""Structures read ahead, sorted by size into batches, and handed out again in order."""

READ_AHEAD = 2**24
"""Most numbers in all Hamiltonians of those structures: fewer large ones are read ahead."""

BATCH_SINGLES = 2**13
"""Most single excitations of one batch: what iterations hold fits the caches of a processor, and
memory is bounded (at about 10 kB for each)."""


MEMORY = 1300
"""Bytes that a large molecule needs for each pair of its orbitals, about (docs/speed.md)."""


@dataclass(frozen=True)
class Solution:
    """Everything the model says of a batch of molecules, as padded tensors with gradients."""

    operators: Operators
    orbitals: Orbitals
    singlets: Excitations
    triplets: Excitations
    charges: Tensor  # (M, K) e
    dipole: Tensor  # (M, 3) e·bohr


@dataclass(frozen=True)
class Stated:
    """What the model says of its own predictions for a batch."""

    singlets: Tensor  # (M, S) eV, one standard deviation, nan where unknown
    triplets: Tensor  # (M, S')
    verdicts: list[Verdict]


def half_width(level: float) -> float:
    """Standard deviations on either side that hold a share ``level`` of a normal distribution.

    Raises ValueError for a share outside 0 to 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}: expected a share between 0 and 1, such as 0.9")
    return float(ndtri(0.5 + 0.5 * level))


@dataclass(frozen=True)
class States:
    """Excited states of one molecule and multiplicity, ascending in energy.

    An uncertainty u is the error to expect of an energy, against the level of theory the model was
    trained on: the standard deviation of a normal distribution whose central 90 %, ±1.645 u, hold
    90 % of the errors on molecules not trained on. nan where the model file knows none.
    """

    energies: Array  # (n_states,) eV
    oscillator_strengths: Array  # (n_states,), zero for triplets
    transition_dipoles: Array  # (n_states, 3) e·bohr, sign arbitrary, zero for triplets
    uncertainties: Array  # (n_states,) eV, one standard deviation
    X: Array | None = None  # (n_states, o, v) excitation amplitudes, see Result.coefficients
    Y: Array | None = None  # (n_states, o, v) de-excitation amplitudes, zero for triplets

    def __len__(self) -> int:
        return len(self.energies)

    def interval(self, level: float = 0.9) -> Array:
        """(n_states, 2) lower and upper end, eV, of what holds a share ``level`` of the errors.

        Calibrated at 0.9; at other levels as far as errors are distributed normally. Raises
        ValueError for a level outside 0 to 1.
        """
        half = half_width(level) * self.uncertainties
        return np.stack([self.energies - half, self.energies + half], axis=1)


@dataclass(frozen=True)
class Result:
    """What the model predicts for one molecule.

    The wave functions (``coefficients``, ``dipole_operator`` and the amplitudes of the states) grow
    with the square of the molecule and faster than all the rest; ``Surrogate.predict`` gives them,
    ``Surrogate.predict_many`` only where asked to, and None else. Amplitudes refer to these very
    ``coefficients``: signs, and the axes within degenerate sets, are those of one diagonalization.
    """

    atoms: Atoms
    orbital_energies: Array  # (n_orbitals,) eV, ascending; valence orbitals
    n_occupied: int
    hamiltonian: Array  # (n_orbitals, n_orbitals) eV, minimal orthonormal valence basis
    charges: Array  # (n_atoms,) e
    dipole: Array  # (3,) debye
    singlets: States
    triplets: States
    coefficients: Array | None = None  # (n_orbitals, n_orbitals) canonical orbitals in columns
    dipole_operator: Array | None = None  # (3, n_orbitals, n_orbitals) position ⟨μ|r|ν⟩, e·bohr
    in_domain: bool = True  # whether the molecule is like those the model was trained on
    warnings: tuple[str, ...] = ()  # why it is not, and what else to know of this prediction

    def wavefunctions(self, kind: Literal["singlets", "triplets"] = "singlets") -> Wavefunctions:
        """Orbitals and amplitudes of the excited states, to ask what the states are.

        Raises MissingWavefunctionsError for a result of ``predict_many`` without them.
        """
        if kind not in ("singlets", "triplets"):
            raise ValueError(f"kind must be 'singlets' or 'triplets', got {kind!r}")
        states = self.singlets if kind == "singlets" else self.triplets
        if self.coefficients is None or states.X is None or states.Y is None:
            raise MissingWavefunctionsError(
                "this result carries no wave functions: expected one of predict, or of "
                "predict_many(…, wavefunctions=True)"
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

    def characters(
        self,
        kind: Literal["singlets", "triplets"] = "singlets",
        fragments: Sequence[Sequence[int]] | None = None,
    ) -> list[Character]:
        """What each excited state is (see ``esml.characters``).

        ``fragments`` are lists of atoms (from 0) between which charge transfer is counted; they
        are found where left out. Raises as ``wavefunctions``, and FragmentError for lists that do
        not fit the molecule.
        """
        return characterize(self.wavefunctions(kind), fragments)

    @property
    def homo(self) -> float:
        """Energy of the highest occupied orbital, eV."""
        return float(self.orbital_energies[self.n_occupied - 1])

    @property
    def lumo(self) -> float:
        """Energy of the lowest unoccupied orbital, eV; nan where none exists."""
        virtual = self.orbital_energies[self.n_occupied :]
        return float(virtual[0]) if len(virtual) else float("nan")

    @property
    def gap(self) -> float:
        """lumo − homo, eV."""
        return self.lumo - self.homo

    def spectrum(
        self, fwhm: float = 0.3, shape: Literal["gaussian", "lorentzian"] = "gaussian"
    ) -> spectrum.Spectrum:
        """Absorption spectrum of the predicted singlets, broadened to ``fwhm`` (eV)."""
        return spectrum.broaden(
            self.singlets.energies, self.singlets.oscillator_strengths, fwhm=fwhm, shape=shape
        )


@dataclass(frozen=True)
class Failure:
    """A structure of a batch that could not be predicted, and why."""

    name: str
    reason: str

    @classmethod
    def of(cls, atoms: Atoms, reason: str) -> Failure:
        """That of ``atoms``, under its name or, if it has none, its formula."""
        return cls(str(atoms.info.get("name", "")) or atoms.get_chemical_formula(), reason)


@dataclass(frozen=True)
class Wanted:
    """The states asked for; see ``Surrogate.predict``. Raises ValueError for impossible numbers."""

    n_states: int
    n_triplets: int | None = None
    energy_window: float | None = None

    def __post_init__(self) -> None:
        for name in ("n_states", "n_triplets"):
            number = getattr(self, name)
            if number is None:
                continue
            if not isinstance(number, Integral):
                raise ValueError(f"{name} is {number!r}: expected a whole number; give one")
            if number < 1:
                raise ValueError(f"{name} is {number}: expected at least 1; ask for more states")
        if self.energy_window is not None and not self.energy_window > 0:
            raise ValueError(
                f"energy_window is {self.energy_window}: expected an energy in eV above 0; give "
                "one or leave it out"
            )


class Surrogate(nn.Module):
    """A trained model. ``load_model`` makes one; ``predict`` and ``predict_many`` use it."""

    def __init__(
        self,
        hamiltonian: EffectiveHamiltonian,
        metadata: dict[str, Any] | None = None,
        domain: Domain | None = None,
        error_model: ErrorModel | None = None,
    ) -> None:
        super().__init__()
        self.hamiltonian = hamiltonian
        self.metadata = dict(metadata or {})
        self.domain = domain
        self.error_model = error_model

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network."""
        return self.hamiltonian.baseline.dtype

    @property
    def device(self) -> torch.device:
        return self.hamiltonian.baseline.device

    def graph(self, structures: Sequence[Atoms]) -> Graph:
        """The graph of ``structures`` as this model reads it. Raises StructureError."""
        graph = build_graph(structures, self.hamiltonian.cutoff, self.dtype, self.device)
        if self.device.type == "cpu":
            for atoms in structures:
                _check_size(atoms)
        return graph

    def forward(
        self,
        graph: Graph,
        n_states: int = 10,
        energy_window: float | None = None,
        n_triplets: int | None = None,
    ) -> Solution:
        """Solve for the molecules of ``graph``: ``n_states`` singlets and triplets each.

        Fewer where no molecule has so many; ``n_triplets`` where that is given; with
        ``energy_window`` all below it (eV) instead.
        Energies, charges and dipoles carry exact first derivatives with respect to
        ``graph.positions`` and the weights (see ``esml.excitations`` for transition dipoles).
        """
        operators = in_double(self.hamiltonian(graph))
        layout = operators.layout
        found = orbitals.diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        response = Response(found, operators.interaction, layout)
        most = max(1, int(response.n_available.max()))
        n_singlets = min(n_states, most)
        n_triplets = n_singlets if n_triplets is None else min(n_triplets, most)
        # Gradients are of first order in what iterations leave undone.
        precision = torch.float64 if torch.is_grad_enabled() else self.dtype
        return Solution(
            operators=operators,
            orbitals=found,
            singlets=singlets(response, operators.dipole, n_singlets, precision, energy_window),
            triplets=triplets(response, n_triplets, precision, energy_window),
            charges=orbitals.charges(found, layout),
            dipole=orbitals.dipole(found, layout, graph.positions.double(), operators.dipole),
        )

    def uncertainties(self, graph: Graph, solution: Solution) -> Stated:
        """What is to be expected of the errors of ``solution``, that of ``graph``; no gradients.

        Without an error model the root mean square error on validation molecules, the same for all
        states of a multiplicity; without a domain only elements and charges are looked at.
        """
        layout, atoms = solution.operators.layout, None
        verdicts = []
        if self.domain is not None:
            surroundings = self.domain(graph, solution.operators.features)
            verdicts = self.domain.verdicts(graph, surroundings)
            atoms = of_atoms(layout, solution.charges.detach(), surroundings)
        else:
            seen = set(self.metadata.get("elements", ()))
            sizes = layout.n_atoms.tolist()
            for numbers, charge in zip(graph.numbers.split(sizes), graph.charges, strict=True):
                reasons = unfamiliar(numbers.tolist(), int(charge), seen)
                verdicts.append(Verdict(not reasons, tuple(reasons)))
        stated = []
        for kind, found in (("singlets", solution.singlets), ("triplets", solution.triplets)):
            if self.error_model is not None and atoms is not None:
                values = descriptors(found, solution.orbitals, layout, atoms, kind == "triplets")
                stated.append(self.error_model(values))
            else:
                error = float(self.metadata.get("validation_rmse_eV", {}).get(kind, np.nan))
                stated.append(torch.full_like(found.energies, error))
        return Stated(stated[0], stated[1], verdicts)

    def predict(
        self,
        atoms: Atoms,
        n_states: int = 10,
        energy_window: float | None = None,
        n_triplets: int | None = None,
    ) -> Result:
        """Orbitals, charges, dipole and the ``n_states`` lowest singlets and triplets of ``atoms``.

        ``n_triplets`` asks for another number of triplets: a spectrum needs only one, which tells
        whether the closed shell is the ground state, and takes a third less time. With
        ``energy_window`` all singlets and triplets below it (eV) in place of numbers.
        Molecules with fewer excited states than asked for in the minimal basis give all they have.
        Raises StructureError for a structure the model cannot treat, InstabilityError where the
        predicted closed-shell ground state is unstable, ValueError for numbers below 1.
        """
        result = self._solve([atoms], Wanted(n_states, n_triplets, energy_window))[0]
        if isinstance(result, Exception):
            raise result
        return result

    def predict_many(
        self,
        structures: Iterable[Atoms],
        n_states: int = 10,
        errors: Literal["raise", "return"] = "raise",
        wavefunctions: bool = False,
        energy_window: float | None = None,
        n_triplets: int | None = None,
    ) -> Iterator[Result | Failure]:
        """Predict a stream of structures in batches, in order, with bounded memory.

        ``n_triplets`` and ``energy_window`` are those of ``predict``.

        ``wavefunctions`` keeps orbital coefficients, dipole operator and amplitudes in the results.

        ``errors="return"`` yields a ``Failure`` in place of a structure that cannot be predicted
        and goes on; ``"raise"`` raises as ``predict`` does, when it comes to that structure.
        """
        wanted = Wanted(n_states, n_triplets, energy_window)
        if errors not in ("raise", "return"):
            raise ValueError(f"errors must be 'raise' or 'return', got {errors!r}")
        return self._stream(iter(structures), wanted, errors, wavefunctions)

    def _stream(
        self,
        stream: Iterator[Atoms],
        wanted: Wanted,
        errors: str,
        wavefunctions: bool,
    ) -> Iterator[Result | Failure]:
        while window := read_ahead(stream):
            outcomes = self._window(window, wanted, wavefunctions)
            for atoms, outcome in zip(window, outcomes, strict=True):
                if isinstance(outcome, Result):
                    yield outcome
                elif errors == "raise":
                    raise outcome
                else:
                    yield Failure.of(atoms, str(outcome))

    def _window(
        self,
        structures: Sequence[Atoms],
        wanted: Wanted,
        wavefunctions: bool,
    ) -> list[Result | Exception]:
        """Outcomes in order, computed in batches of molecules of like size."""
        outcomes: dict[int, Result | Exception] = {}
        sizes: dict[int, int] = {}
        for index, atoms in enumerate(structures):
            try:
                check_structure(atoms)
                sizes[index] = _n_orbitals(atoms)
            except StructureError as error:
                outcomes[index] = error
        for batch in _batches(sizes):
            found = self._solve([structures[i] for i in batch], wanted, wavefunctions)
            outcomes.update(zip(batch, found, strict=True))
        return [outcomes[index] for index in range(len(structures))]

    def _solve(
        self, structures: Sequence[Atoms], wanted: Wanted, wavefunctions: bool = True
    ) -> list[Result | Exception]:
        """Outcomes of one batch; a molecule that breaks it is found by solving one at a time."""
        try:
            with torch.no_grad():
                graph = self.graph(structures)
                solution = self(
                    graph,
                    wanted.n_states,
                    wanted.energy_window,
                    wanted.n_triplets,
                )
                stated = self.uncertainties(graph, solution)
        except (ValueError, RuntimeError) as error:
            if len(structures) == 1:
                return [error]
            return [self._solve([atoms], wanted, wavefunctions)[0] for atoms in structures]
        return _results(structures, solution, stated, wavefunctions)


def _results(
    structures: Sequence[Atoms], solution: Solution, stated: Stated, wavefunctions: bool
) -> list[Result | Exception]:
    """Results of the molecules of a batch, or why there is none."""
    orbitals, operators = solution.orbitals, solution.operators
    of_singlets = _states(solution.singlets, stated.singlets, orbitals, wavefunctions)
    of_triplets = _states(solution.triplets, stated.triplets, orbitals, wavefunctions)
    # As arrays of the whole batch first: an element of a tensor takes longer than one of an array.
    levels, hamiltonian, charges, dipole = map(
        _numpy, (orbitals.energies, operators.hamiltonian, solution.charges, solution.dipole)
    )
    coefficients, dipole_operator = (
        _numpy(x) if wavefunctions else None for x in (orbitals.coefficients, operators.dipole)
    )
    n_orbitals, n_occupied = orbitals.n_orbitals.tolist(), orbitals.n_occupied.tolist()
    outcomes: list[Result | Exception] = []
    stable = solution.singlets.stable.tolist(), solution.triplets.stable.tolist()
    for m, (atoms, *both) in enumerate(zip(structures, *stable, strict=True)):
        if not all(both):
            outcomes.append(_instability(atoms, *both))
            continue
        n = n_orbitals[m]
        result = Result(
            atoms=atoms.copy(),
            # Degenerate ones ascend but for their last digit.
            orbital_energies=np.maximum.accumulate(levels[m, :n]),
            n_occupied=n_occupied[m],
            hamiltonian=hamiltonian[m, :n, :n].copy(),
            charges=charges[m, : len(atoms)].copy(),
            dipole=dipole[m] * DEBYE,
            in_domain=stated.verdicts[m].in_domain,
            warnings=stated.verdicts[m].warnings,
            singlets=of_singlets[m],
            triplets=of_triplets[m],
            coefficients=None if coefficients is None else coefficients[m, :n, :n].copy(),
            dipole_operator=(
                None if dipole_operator is None else dipole_operator[m, :, :n, :n].copy()
            ),
        )
        outcomes.append(result)
    return outcomes


def _instability(atoms: Atoms, singlets: bool, triplets: bool) -> InstabilityError:
    """Of a molecule whose singlets, or if not those triplets, are not stable."""
    formula = atoms.get_chemical_formula()
    if not singlets:
        return InstabilityError(
            f"the predicted closed-shell ground state of {formula} is unstable, so it has no "
            "real excitation energies: expected a molecule near its equilibrium with a closed "
            "shell; check the structure"
        )
    return InstabilityError(
        f"a triplet of {formula} is predicted below the closed shell, which then is not "
        "the ground state: expected a closed-shell molecule near its equilibrium; check "
        "the structure"
    )


def _states(
    found: Excitations, uncertainties: Tensor, orbitals: Orbitals, wavefunctions: bool
) -> list[States]:
    """The states of each molecule of a batch."""
    energies, strengths, dipoles, errors = map(
        _numpy,
        (found.energies, found.oscillator_strengths, found.transition_dipoles, uncertainties),
    )
    amplitudes = [_numpy(x) for x in (found.X, found.Y)] if wavefunctions else []
    n_occupied, n_orbitals = orbitals.n_occupied.tolist(), orbitals.n_orbitals.tolist()
    mask = found.mask.cpu().numpy()
    states = []
    for m, (o, n) in enumerate(zip(n_occupied, n_orbitals, strict=True)):
        exists = np.flatnonzero(mask[m])
        # Iterations leave degenerate states in any order.
        exists = exists[energies[m, exists].argsort(kind="stable")]
        own = (x[m, exists, :o, : n - o] for x in amplitudes)
        states.append(
            States(
                energies[m, exists],
                strengths[m, exists],
                dipoles[m, exists],
                errors[m, exists],
                *own,
            )
        )
    return states


def _check_size(atoms: Atoms) -> None:
    """Refuse a molecule for which the memory of this machine cannot do."""
    needed = MEMORY * _n_orbitals(atoms) ** 2
    there = physical_memory()
    if there is not None and needed > there:
        raise StructureError(
            f"{len(atoms)} atoms need about {needed / 2**30:.0f} GiB of memory where at most the "
            f"{there / 2**30:.0f} GiB of this machine are expected: predict parts of the structure "
            "or choose a larger machine"
        )


def physical_memory() -> int | None:
    """Bytes of memory of this machine, where it tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _n_orbitals(atoms: Atoms) -> int:
    return int(orbitals_per_atom(torch.from_numpy(atoms.numbers)).sum())


def read_ahead(stream: Iterator[Atoms]) -> list[Atoms]:
    """The next structures of ``stream``, as many as ``WINDOW`` and ``READ_AHEAD`` allow."""
    window: list[Atoms] = []
    numbers = 0
    for atoms in islice(stream, WINDOW):
        window.append(atoms)
        numbers += _n_orbitals(atoms) ** 2
        if numbers > READ_AHEAD:
            break
    return window


def _batches(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Group structures by size, so that padding is little and batches are bounded."""
    batch: list[int] = []
    for index in sorted(sizes, key=lambda i: sizes[i]):
        # A molecule of n orbitals has about (n/2)² single excitations; the last one the most.
        singles = (len(batch) + 1) * (sizes[index] / 2) ** 2
        if batch and (singles > BATCH_SINGLES or sizes[index] > 1.15 * sizes[batch[0]] + 2):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _numpy(values: Tensor) -> Array:
    array: Array = values.detach().cpu().numpy().astype(np.float64, copy=False)
    return array


def in_double(operators: Operators) -> Operators:
    """``operators`` in double precision, but for ``features``."""
    interaction = operators.interaction
    parts = {f.name: getattr(interaction, f.name).double() for f in fields(interaction)}
    return replace(
        operators,
        hamiltonian=operators.hamiltonian.double(),
        dipole=operators.dipole.double(),
        interaction=replace(interaction, **parts),
    )


DOMAIN, ERRORS = "domain.", "uncertainty."
"""Prefixes, in a model file, of the tensors that are not weights of the Hamiltonian."""


def content(model: Surrogate) -> checkpoint.Checkpoint:
    """What a file of ``model`` holds."""
    state = dict(model.hamiltonian.state_dict())
    for prefix, part in ((DOMAIN, model.domain), (ERRORS, model.error_model)):
        if part is not None:
            state |= {prefix + name: tensor for name, tensor in part.state().items()}
    return checkpoint.Checkpoint(
        state=state,
        config=model.hamiltonian.config.model_dump(),
        metadata=model.metadata,
    )


def save_model(model: Surrogate, path: str | Path) -> None:
    """Write ``model`` to one safetensors file."""
    checkpoint.save(path, content(model))


def _check_device(device: torch.device | str) -> None:
    try:
        torch.zeros(1, device=device)
    # Torch has its own exception for every kind of device it was built without.
    except Exception as error:
        raise ValueError(
            f"device {str(device)!r} cannot be used ({str(error).splitlines()[0]}): expected 'cpu' "
            "or an accelerator of this machine such as 'cuda'; choose one"
        ) from error


def available_models() -> list[str]:
    """Names of the models shipped with the package."""
    folder = files("esml") / "models"
    return sorted(
        p.name.removesuffix(".safetensors")
        for p in folder.iterdir()
        if p.name.endswith(".safetensors")
    )


def load_model(
    name: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Surrogate:
    """A trained model: the shipped one, another shipped one by name, or a file by path.

    Raises CheckpointError where there is no such model or its file cannot be used, ValueError for
    a device there is not.
    """
    _check_device(device)
    name = DEFAULT_MODEL if name is None else name
    path = Path(name)
    if str(name) in available_models():
        path = Path(str(files("esml") / "models" / f"{name}.safetensors"))
    elif not path.is_file():
        raise checkpoint.CheckpointError(
            f"no model {str(name)!r}: expected one of {', '.join(available_models()) or 'none'} or "
            "the path of a .safetensors file; check the name or the path"
        )
    found = checkpoint.load(path)
    try:
        domain, errors = (found.split_off(prefix) for prefix in (DOMAIN, ERRORS))
        with checkpoint.no_larger_than(found.state):
            hamiltonian = from_config(found.config).to(dtype)
        hamiltonian.load_state_dict(found.state)
        return (
            Surrogate(
                hamiltonian,
                found.metadata,
                Domain(domain) if domain else None,
                ErrorModel(errors) if errors else None,
            )
            .to(device)
            .eval()
        )
    except (ValueError, RuntimeError, KeyError) as error:
        raise checkpoint.CheckpointError(
            f"{path} does not fit this version of esml ({' '.join(str(error).split())[:200]}): "
            "expected weights and configuration of one model; train it again or update esml"
        ) from error
