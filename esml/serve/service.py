"""Answers about one molecule: from a SMILES or a file to states, a spectrum and a page.

Geometries are made in separate processes, one for each core, which stay for the next request and
are ended if one takes too long. Predictions take turns in this process. Recent structures and
results are kept, so that the report of a molecule that was just predicted comes at once.

Nothing in a request is ever used as a path: a file is sent as its text, and only its file name
extension, if it is a known one, decides how to read it.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from ase import Atoms
from pydantic import BaseModel, ConfigDict, Field

from esml.analysis.spectrum import check_width
from esml.export.orbital_files import molden_text
from esml.io.geometry import Built, Request, Settings, Worker, cores, parse_smiles
from esml.io.structures import InputError, ReadingOptions, Structure, from_smiles, read_structure
from esml.physics.basis import ELEMENTS
from esml.plots.page import page
from esml.plots.page_data import opening_state, spectrum_data
from esml.predict.model_files import (
    ALIASES,
    DEFAULT_MODEL,
    OF_CRYSTALS,
    available_models,
    molecular_model,
)
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.serve.limits import SUFFIXES, Limits, RefusedError
from esml.typing import MULTIPLICITIES

KEPT = 128
"""Number of structures, and of results, that are kept."""

SHOWN = 60
"""Largest number of characters of a SMILES or name that a message repeats."""

Value = TypeVar("Value")


class Question(BaseModel):
    """A molecule, and what to predict for it."""

    model_config = ConfigDict(extra="forbid")

    smiles: str = Field("", description="The molecule as SMILES; or give content.")
    content: str = Field("", description="The text of a geometry file; or give smiles.")
    name: str = Field(
        "",
        max_length=200,
        description="Name of the molecule; of a file its name, whose suffix gives the format.",
    )
    n_states: int = Field(10, description="Singlets, and triplets.")
    geometry: Literal["draft", "mmff", "xtb"] = Field(
        "xtb",
        description="How a geometry is made from SMILES: draft (a conformer, within tenths of a "
        "second), mmff (MMFF94) or xtb (GFN2-xTB, seconds).",
    )
    model: str = Field("default", description="Name of a shipped model.")
    solvent: str = Field(
        "vacuum", max_length=200, description="Name of a solvent, such as ethanol, or vacuum."
    )
    fwhm: float = Field(0.3, description="Full width of a line at half maximum, eV.")


class Kept(Generic[Value]):
    """Thread-safe cache of the last ``KEPT`` values by key."""

    def __init__(self) -> None:
        self._values: OrderedDict[Any, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], Value]) -> Value:
        """Return the value of ``key``, made by ``make`` if it is not in the cache."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > KEPT:
                self._values.popitem(last=False)
        return value


class Service:
    """Service that answers requests about one molecule.

    Parameters
    ----------
    models
        Names of models to serve, the first of them as default; every shipped model if left out.
        Paths are accepted here, never in a request.
    limits
        Largest requests that are accepted.
    processes
        Number of processes that make geometries; one for each core if None.
    device
        Device on which models compute: ``"cpu"``, or an accelerator such as ``"cuda"``.
    """

    def __init__(
        self,
        models: tuple[str, ...] = (),
        limits: Limits | None = None,
        processes: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.limits = limits or Limits()
        others = (m for m in available_models() if m not in (DEFAULT_MODEL, *OF_CRYSTALS))
        self.models = models or (DEFAULT_MODEL, *others)
        self._device = device
        self._loaded: dict[str, Surrogate] = {}
        self._loading = threading.Lock()
        self._predicting = threading.Lock()
        self._workers: queue.Queue[Worker] = queue.Queue()
        self._all = [Worker(self.limits.seconds) for _ in range(processes or cores())]
        for worker in self._all:
            self._workers.put(worker)
        self._waiting = 0
        self._counting = threading.Lock()
        self._structures: Kept[Structure] = Kept()
        self._results: Kept[Result] = Kept()

    def start(self) -> None:
        """Load the first model and start the processes, so that the first answer is quick."""
        self.model(self.models[0])
        if not has_rdkit():
            return
        for worker in self._all:
            worker({"smiles": "C=C"}, Settings(draft=True))
        # The first answer imports everything that later ones need.
        self.answer(Question(smiles="C=CC=O", geometry="draft"))

    def close(self) -> None:
        """End the processes."""
        for worker in self._all:
            worker.close()

    def model(self, name: str) -> Surrogate:
        """Return a model by name. Raises RefusedError if it is not served."""
        wanted = name if name in self.models else ALIASES.get(name, name)
        if name == "default":
            wanted = self.models[0]
        if wanted not in self.models:
            raise RefusedError(
                f"no model '{short(name)}' is served: expected one of {', '.join(self.models)}; "
                "choose one"
            )
        with self._loading:
            if wanted not in self._loaded:
                self._loaded[wanted] = molecular_model(wanted, device=self._device)
            return self._loaded[wanted]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Count a request as in progress. Raises RefusedError if too many are waiting."""
        with self._counting:
            if self._waiting >= self.limits.waiting:
                raise RefusedError(
                    f"{self._waiting} questions wait already: expected no more; ask again "
                    "in a moment",
                    503,
                )
            self._waiting += 1
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1

    # --- questions --------------------------------------------------------------------------------

    def answer(self, question: Question) -> dict[str, Any]:
        """Return states and spectrum as JSON-serializable data. Raises RefusedError."""
        begun = time.monotonic()
        with self.turn():
            structure, result = self._found(question)
            told = structure.provenance
            characters = {each: result.named_characters(each) for each in MULTIPLICITIES}
            states = [
                {
                    "label": label,
                    "energy_eV": _number(found.energies[k]),
                    "wavelength_nm": _number(found.wavelengths[k]),
                    "f": _number(found.oscillator_strengths[k]) if singlet else None,
                    "uncertainty_eV": _number(found.uncertainties[k]),
                    "character": characters[found.multiplicity][k].description,
                }
                for found in (result.singlets, result.triplets)
                for singlet in (found.multiplicity == "singlet",)
                for k, label in enumerate(found.labels)
            ]
            opening = opening_state(result.singlets)
            return {
                "name": structure.name,
                "formula": result.atoms.get_chemical_formula(),
                "model": question.model,
                "solvent": question.solvent,
                "charge": told.charge,
                "charge_source": told.charge_source,
                "geometry": told.geometry,
                "notes": list(told.remarks()),
                "warnings": list(result.warnings),
                "in_domain": result.in_domain,
                "homo_eV": _number(result.homo),
                "lumo_eV": _number(result.lumo),
                "dipole_debye": _number(float((result.dipole**2).sum() ** 0.5)),
                "states": states,
                "brightest": None if opening is None else f"S{opening + 1}",
                "spectrum": spectrum_data(result, question.fwhm),
                "seconds": round(time.monotonic() - begun, 3),
            }

    def report(self, question: Question) -> str:
        """Return the report page of a molecule. Raises RefusedError."""
        with self.turn():
            structure, result = self._found(question)
            told = structure.provenance
            notes = [f"Model: {question.model}.", f"Solvent: {question.solvent}."]
            notes += [f"Charge: {told.charge} ({told.charge_source})."]
            notes += [f"Geometry: {told.geometry}.", *(f"Note: {note}." for note in told.remarks())]
            attachments = {"orbitals.molden": molden_text(result)}
            return page(result, structure.name, question.fwhm, notes, attachments)

    def _found(self, question: Question) -> tuple[Structure, Result]:
        self.limits.check_states(question.n_states)
        model = self.model(question.model)
        try:
            check_width(question.fwhm)
            structure = self._structure(question)
            self.limits.check_atoms(len(structure.atoms))
            key = (question.model, question.n_states, question.solvent, *self._key(question))
            return structure, self._results.get(
                key, lambda: self._predict(model, structure.atoms, question)
            )
        except RefusedError:
            raise
        except ValueError as error:  # InputError, StructureError, InstabilityError
            raise RefusedError(" ".join(str(error).split())) from error

    def _predict(self, model: Surrogate, atoms: Atoms, question: Question) -> Result:
        with self._predicting:
            return model.predict(atoms, n_states=question.n_states, solvent=question.solvent)

    @staticmethod
    def _key(question: Question) -> tuple[str, ...]:
        if question.content:
            return (question.content, question.name)
        return (question.smiles, question.name, question.geometry)

    def _structure(self, question: Question) -> Structure:
        if bool(question.smiles.strip()) == bool(question.content.strip()):
            raise RefusedError(
                "expected either smiles or content, the text of a file; give one of them"
            )
        make = self._from_file if question.content else self._from_smiles
        return self._structures.get(self._key(question), lambda: make(question))

    def _from_smiles(self, question: Question) -> Structure:
        smiles = question.smiles.strip()
        if len(smiles) > self.limits.smiles:
            raise RefusedError(
                f"the SMILES has {len(smiles):,} characters: expected at most "
                f"{self.limits.smiles:,}; give a smaller molecule",
                413,
            )
        self._check_smiles(smiles)
        options = ReadingOptions(
            geometry="mmff" if question.geometry == "mmff" else "xtb", elements=tuple(ELEMENTS)
        )
        draft = question.geometry == "draft"

        def make(request: Request, settings: Settings) -> list[Built]:
            if draft:
                settings = replace(settings, draft=True, conformers=3)
            worker = self._workers.get()
            try:
                return worker(request, settings)
            finally:
                self._workers.put(worker)

        found = from_smiles(smiles, options, make)
        return replace(found, name=question.name or smiles)

    def _check_smiles(self, smiles: str) -> None:
        """Refuse invalid SMILES and large molecules before they occupy a process."""
        if not has_rdkit():
            raise RefusedError('SMILES need RDKit on the server: pip install "esml[smiles]"', 501)
        try:
            mol = parse_smiles(smiles)
        except InputError as error:
            raise RefusedError(
                f"'{short(smiles)}' is no SMILES that RDKit can read: expected one such as "
                "CN(C)c1ccccc1; fix it"
            ) from error
        hydrogens = sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())
        self.limits.check_atoms(mol.GetNumAtoms() + hydrogens)

    def _from_file(self, question: Question) -> Structure:
        suffix = suffix_of(question.name, SUFFIXES)
        options = ReadingOptions(elements=tuple(ELEMENTS))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"molecule{suffix}"
            path.write_text(question.content, encoding="utf-8", errors="replace")
            try:
                found = read_structure(path, None, options)
            except InputError as error:
                raise RefusedError(str(error).replace(str(path), short(question.name))) from error
        name = found.name if found.name != path.stem else question.name
        return replace(found, name=name, source=question.name)


def suffix_of(name: str, allowed: tuple[str, ...]) -> str:
    """Return a file name extension in lower case. Raises RefusedError if it is not ``allowed``."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in allowed:
        raise RefusedError(
            f"the file '{short(name)}' ends in no format that is taken here: expected one of "
            f"{', '.join(allowed)}; rename or convert it"
        )
    return suffix


def has_rdkit() -> bool:
    """Whether RDKit is installed, which is needed for SMILES."""
    return find_spec("rdkit") is not None


def short(text: str) -> str:
    """Return ``text`` on one line, shortened if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def _number(value: float) -> float | None:
    """Return ``value``, or None if JSON cannot represent it."""
    number = round(float(value), 5)
    return number if abs(number) < float("inf") else None
