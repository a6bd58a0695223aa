"""Process that makes geometries: it reads requests, a line of JSON each, and answers with a line.

Started by ``esml.io.geometry.workers``, not by users.
"""

from __future__ import annotations

import json
import os
import sys
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ase import Atoms

from esml.io.geometry.building import Built, ensemble, from_graph, from_smiles, relax_atoms
from esml.io.geometry.embedding import Settings
from esml.io.geometry.workers import Request
from esml.io.provenance import InputError


def answer(request: Request) -> dict[str, Any]:
    """Return the answer to one request, as JSON-serializable data."""
    plain = request["settings"]
    settings = Settings(**{**plain, "elements": tuple(plain["elements"])})
    try:
        return {"built": [built.plain() for built in _make(request, settings)]}
    except InputError as error:
        return {"error": str(error)}


def _make(request: Request, settings: Settings) -> list[Built]:
    if "numbers" in request:
        atoms, said = relax_atoms(
            Atoms(request["numbers"], request["positions"]), request["charge"], settings
        )
        return [Built(atoms, request["charge"], said)]
    if "mol" in request:
        from rdkit import Chem

        return [from_graph(Chem.MolFromMolBlock(request["mol"]), request["name"], settings)]
    if request.get("n"):
        return ensemble(request["smiles"], request["n"], settings)
    return [from_smiles(request["smiles"], settings)]


def _read(requests: SimpleQueue[str]) -> None:
    """Pass lines on; end the process with its standard input, even during a computation."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def main() -> None:
    """Answer requests until there are no more."""
    # Output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: SimpleQueue[str] = SimpleQueue()
    Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        answers.write(json.dumps(answer(json.loads(requests.get()))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
