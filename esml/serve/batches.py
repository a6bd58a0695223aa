"""Batch jobs: molecules predicted one after another; a restarted server resumes them.

A batch is a folder with ``request.json`` (the request), the list as received, the growing output,
and ``failed.txt`` if the batch failed as a whole. When the server starts, it finds unfinished
batches in the folders; the journal of ``esml.predict.run`` keeps finished predictions.
"""

from __future__ import annotations

import json
import os
import queue
import re
import secrets
import shutil
import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from esml.io.files import sole_writer, write_whole
from esml.io.paths import count_structures
from esml.io.structures import ReadingOptions
from esml.io.surroundings import SolventError, as_solvent
from esml.physics.basis import ELEMENTS
from esml.predict.run import Tally, predict_files
from esml.serve.limits import LISTS, RefusedError
from esml.serve.service import Service, suffix_of

WINDOW = 16
"""Number of molecules predicted and saved together: at most this many are repeated after a kill."""

FORMATS = {"csv": "csv", "json": "json", "hdf5": "h5", "xyz": "xyz"}
"""Formats of results, and their file name extensions."""


class BatchQuestion(BaseModel):
    """A list of molecules, and what to predict for them."""

    content: str = Field(description="The text of a list of SMILES, table, SD or xyz file.")
    name: str = Field(max_length=200, description="Its name, whose suffix gives the format.")
    n_states: int = Field(10, description="Singlets, and triplets, of each.")
    geometry: Literal["mmff", "xtb"] = Field("xtb", description="Of molecules given as SMILES.")
    model: str = Field("default", description="Name of a shipped model.")
    solvent: str = Field(
        "",
        max_length=200,
        description="Name of a solvent, such as ethanol, or vacuum, for all of them; if left out "
        "what the list names, vacuum where it names none.",
    )
    format: Literal["csv", "json", "hdf5", "xyz"] = Field("csv", description="Of the results.")


class Batches:
    """The batches of a server.

    Parameters
    ----------
    service
        Service whose models and limits are used.
    folder
        Folder in which batches are kept; made if it does not exist.

    Raises
    ------
    BusyError
        If another server uses the folder.
    OSError
        If the folder cannot be made.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = sole_writer(folder / ".lock", folder)
        self._lock.__enter__()
        self._todo: queue.Queue[str | None] = queue.Queue()
        self._tallies: dict[str, Tally] = {}
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)

    def start(self) -> None:
        """Resume batches that an earlier server left unfinished, oldest first."""
        for path in sorted(self.folder.glob("*/request.json"), key=lambda p: p.stat().st_mtime_ns):
            if self._state(path.parent) == "waiting":
                self._todo.put(path.parent.name)
        self._thread.start()

    def close(self) -> None:
        """Stop after the molecules in progress; the next start continues with the rest."""
        self._stopping.set()
        self._todo.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=30.0)
        self._lock.__exit__(None, None, None)

    # --- questions --------------------------------------------------------------------------------

    def add(self, question: BatchQuestion) -> dict[str, Any]:
        """Store a batch on disk, start it and return its description. Raises RefusedError."""
        limits = self.service.limits
        limits.check_states(question.n_states)
        limits.check_size(len(question.content.encode()), limits.batch)
        limits.check_lines(question.content)
        self.service.model(question.model)
        try:
            as_solvent(question.solvent or None)
        except SolventError as error:
            raise RefusedError(str(error)) from error
        suffix = suffix_of(question.name, LISTS)
        self._make_room()
        name = secrets.token_hex(8)
        # Use another name until the folder is complete: a kill then leaves no partial batch.
        new = self.folder / f".{name}.new"
        new.mkdir(mode=0o700)
        source = new / f"input{suffix}"
        source.write_text(question.content, encoding="utf-8", errors="replace")
        count = count_structures(source)
        if not 0 < count <= limits.molecules:
            shutil.rmtree(new)
            raise RefusedError(
                f"the list holds {count:,} molecules: expected 1 to {limits.molecules:,}; fix or "
                "part it",
                413 if count else 422,
            )
        kept = question.model_dump(exclude={"content"}) | {"suffix": suffix, "count": count}
        write_whole(new / "request.json", json.dumps(kept).encode())
        new.rename(self.folder / name)
        self._todo.put(name)
        return self.describe(name)

    def describe(self, name: str) -> dict[str, Any]:
        """Describe a batch and its progress. Raises RefusedError if it does not exist."""
        folder = self._existing(name)
        kept = json.loads((folder / "request.json").read_text())
        tally = self._tallies.get(name, Tally(expected=kept["count"]))
        state = self._state(folder)
        done = kept["count"] if state == "done" and not tally.done else tally.done
        return {
            "id": name,
            "name": kept["name"],
            "state": "running" if state == "waiting" and name in self._tallies else state,
            "expected": max(tally.expected, kept["count"]),
            "done": done,
            "failed": tally.failed,
            # Show the name that the client gave to the list, not that of the file here.
            "reasons": [
                reason.replace(str(folder / f"input{kept['suffix']}"), kept["name"])
                for reason in tally.reasons
            ],
            "solvent": kept.get("solvent", ""),
            "format": kept["format"],
            "error": (folder / "failed.txt").read_text() if state == "failed" else "",
        }

    def listed(self) -> list[dict[str, Any]]:
        """Describe all batches, newest first."""
        found = sorted(
            self.folder.glob("*/request.json"), key=lambda p: p.stat().st_mtime_ns, reverse=True
        )
        return [self.describe(path.parent.name) for path in found]

    def result(self, name: str) -> Path:
        """Return the result file of a batch. Raises RefusedError if it is not finished."""
        folder = self._existing(name)
        state = self._state(folder)
        if state != "done":
            raise RefusedError(
                f"batch {name} is {state}: expected a finished one; ask again later", 409
            )
        return self._output(folder)

    def remove(self, name: str) -> None:
        """Stop a batch and delete it. Raises RefusedError if it does not exist."""
        folder = self._existing(name)
        self._cancelled.add(name)
        if name not in self._tallies or self._state(folder) != "waiting":
            shutil.rmtree(folder, ignore_errors=True)

    # --- on the disk ------------------------------------------------------------------------------

    def _existing(self, name: str) -> Path:
        folder = self.folder / name
        # Accept only names that this server assigns, never a path to another folder.
        if not re.fullmatch(r"[0-9a-f]{16}", name) or not (folder / "request.json").is_file():
            raise RefusedError("there is no such batch: expected the id of one; check it", 404)
        return folder

    def _output(self, folder: Path) -> Path:
        kept = json.loads((folder / "request.json").read_text())
        return folder / f"results.{FORMATS[kept['format']]}"

    def _state(self, folder: Path) -> str:
        if (folder / "failed.txt").exists():
            return "failed"
        return "done" if self._output(folder).exists() else "waiting"

    def _make_room(self) -> None:
        """Delete the oldest finished batches if there are too many. Raises RefusedError."""
        found = sorted(self.folder.glob("*/request.json"), key=lambda p: p.stat().st_mtime_ns)
        surplus = len(found) + 1 - self.service.limits.batches
        for path in found:
            if surplus <= 0:
                return
            if self._state(path.parent) != "waiting":
                shutil.rmtree(path.parent, ignore_errors=True)
                self._tallies.pop(path.parent.name, None)
                surplus -= 1
        if surplus > 0:
            raise RefusedError("too many batches wait: expected fewer; ask again later", 503)

    # --- work -------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (name := self._todo.get()) is not None and not self._stopping.is_set():
            folder = self.folder / name
            if name not in self._cancelled and folder.exists():
                # An error in one batch must not stop the others.
                try:
                    self._predict(name, folder)
                except (ValueError, RuntimeError, OSError) as error:
                    reason = " ".join(str(error).split())
                    with suppress(OSError):
                        write_whole(folder / "failed.txt", reason.encode())
            if name in self._cancelled:
                shutil.rmtree(folder, ignore_errors=True)

    def _predict(self, name: str, folder: Path) -> None:
        kept = json.loads((folder / "request.json").read_text())
        model = self.service.model(kept["model"])
        model = model.with_batching(replace(model.batching, window=WINDOW))
        listed = kept["suffix"] in (".smi", ".smiles", ".csv", ".tsv")
        options = ReadingOptions(
            geometry=kept["geometry"] if listed else None,
            elements=tuple(ELEMENTS),
            processes=max(1, (os.cpu_count() or 1) - 1),  # one core stays free for the page
            most_atoms=self.service.limits.atoms,
            solvent=kept.get("solvent") or None,
        )
        tallies = predict_files(
            model,
            [folder / f"input{kept['suffix']}"],
            self._output(folder),
            kept["n_states"],
            label=kept["model"],
            options=options,
        )
        with closing(tallies):
            for tally in tallies:
                self._tallies[name] = tally
                if self._stopping.is_set() or name in self._cancelled:
                    return
