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
"""Accepted extensions of geometry files: only formats that cannot refer to other files."""

LISTS = (".smi", ".smiles", ".csv", ".tsv", ".sdf", ".sd", ".xyz", ".extxyz")
"""Accepted file name extensions of lists of molecules for batches."""


class RefusedError(ValueError):
    """A request is refused, with the reason in a sentence and an HTTP status."""

    def __init__(self, sentence: str, status: int = 422) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """Largest requests that the server accepts.

    Parameters
    ----------
    smiles
        Number of characters of a SMILES.
    question
        Size of a request about one molecule, bytes.
    batch
        Size of a list of molecules, bytes.
    atoms
        Number of atoms of a molecule, including hydrogens.
    states
        Number of singlets, and of triplets, of a molecule.
    line
        Number of characters of a line of a batch; longer lines are refused.
    molecules
        Number of molecules of a batch.
    batches
        Number of batches that are kept; the oldest finished ones are deleted first.
    waiting
        Number of requests in progress or waiting; further ones are refused for the moment.
    seconds
        Longest time to make one geometry, s.
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
        """Refuse a number of states outside the limits."""
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
        """Refuse a request that is larger than ``most`` bytes.

        Parameters
        ----------
        size
            Bytes of the request.
        most
            Bytes that are allowed.
        """
        if size > most:
            raise RefusedError(
                f"the question has more than {most:,} bytes: expected no more; send less, "
                "or use the command esml predict",
                413,
            )
