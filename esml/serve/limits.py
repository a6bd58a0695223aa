"""Request limits of the server, and the error for requests that exceed them."""

from __future__ import annotations

from dataclasses import dataclass

SUFFIXES = (
    ".xyz",
    ".extxyz",
    ".sdf",
    ".sd",
    ".mol",
    ".mol2",
    ".pdb",
    ".ent",
    ".gjf",
    ".com",
)
"""Ends of the names of geometry files that are taken: of formats that name no other file."""

LISTS = (".smi", ".smiles", ".csv", ".tsv", ".sdf", ".sd", ".xyz", ".extxyz")
"""Ends of the names of lists and sets for batches."""


class RefusedError(ValueError):
    """A question that is not answered, with the reason in a sentence and a status of HTTP."""

    def __init__(self, sentence: str, status: int = 422) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """The largest questions that are taken.

    Parameters
    ----------
    smiles
        Characters of a SMILES.
    question
        Bytes of a question about one molecule.
    batch
        Bytes of a list or set of molecules.
    atoms
        Atoms of a molecule, hydrogens included.
    states
        Singlets, and triplets, of a molecule.
    line
        Characters of a line of a batch; longer lines are refused.
    molecules
        Molecules of a batch.
    batches
        Batches that are kept; the oldest finished ones make room.
    waiting
        Requests in progress or waiting; further ones are refused, to be tried again later.
    seconds
        Longest time to make one geometry.
    """

    smiles: int = 2_000
    question: int = 1_000_000
    batch: int = 20_000_000
    atoms: int = 250
    states: int = 50
    line: int = 10_000
    molecules: int = 100_000
    batches: int = 200
    waiting: int = 200
    seconds: float = 120.0

    def check_states(self, n_states: int) -> None:
        """Refuse a number of states that is not computed."""
        if not 1 <= n_states <= self.states:
            raise RefusedError(
                f"n_states is {n_states}: expected 1 to {self.states}; choose a number between"
            )

    def check_atoms(self, n_atoms: int) -> None:
        """Refuse a molecule that is too large."""
        if n_atoms > self.atoms:
            raise RefusedError(
                f"the molecule has {n_atoms:,} atoms: expected at most {self.atoms}; use the "
                "command esml predict for larger ones",
                413,
            )

    def check_lines(self, content: str) -> None:
        """Refuse a list with a line that is too long."""
        longest = max(map(len, content.splitlines()), default=0)
        if longest > self.line:
            raise RefusedError(
                f"the list has a line of {longest:,} characters: expected at most {self.line:,}; "
                "leave that line out",
                413,
            )

    def check_size(self, size: int, most: int) -> None:
        """Refuse a question of more bytes than it may have."""
        if size > most:
            raise RefusedError(
                f"the question has more than {most:,} bytes: expected no more; send less, "
                "or use the command esml predict",
                413,
            )
