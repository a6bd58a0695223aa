"""Structures from outside: geometry files and databases ASE reads, SMILES, and lists of SMILES.

Everything that can be wrong with an input is said in one sentence, as an ``InputError``.
"""

from __future__ import annotations

import re
import stat
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ase.db
import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, ioformats, open_with_compression

SEED = 7
"""Seed of the conformer embedding: one SMILES always gives one geometry."""

SMILES_LISTS = (".smi", ".smiles")
"""Ends of the names of files with a SMILES, and if wanted a name, on every line."""

MOST_ATOMS = 1_000_000
"""Atoms a structure may declare: more than any model here can treat."""

LONGEST_LINE = 2**20
"""Bytes of a line of an xyz file that are looked at."""

_SUFFIXES = {extension for form in ioformats.values() for extension in form.extensions} | {
    "extxyz",
    *(suffix.lstrip(".") for suffix in SMILES_LISTS),
}


class InputError(ValueError):
    """An input that cannot be read; the message says what was wrong and how to mend it."""


@dataclass(frozen=True)
class Structure:
    """A molecule and where it came from."""

    atoms: Atoms
    name: str
    source: str
    """The file, or the SMILES."""
    index: int
    """Place among the structures of the file, from 0."""


def check_file(path: Path) -> None:
    """Refuse, with an ``InputError``, a path that is no file, or an empty one."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"no file '{path}': expected a geometry file, check the path") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be reached ({getattr(error, 'strerror', None) or error}): expected a "
            "geometry file that may be read; check the path and its permissions"
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(
            f"'{path}' is a directory: expected a geometry file such as molecule.xyz; name one"
        )
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"'{path}' is no regular file: expected a geometry file; save its content as one"
        )
    if status.st_size == 0:
        raise InputError(f"'{path}' is empty: expected at least one structure; check the file")


def _reason(error: Exception) -> str:
    """What went wrong inside a reader, on one line."""
    if isinstance(error, UnknownFileTypeError):
        return "the format is none that ASE knows"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, PermissionError):
        return "reading it is not permitted"
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"{error.args[0]!r} is no element or entry its format knows"
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def read_structures(path: Path) -> Iterator[Structure]:
    """All structures of a file, one at a time.

    A structure's name is ``atoms.info["name"]``, that of its row in a database (``.db``) or its
    line in a list of SMILES (``.smi``, ``SMILES name``), else the file's stem. Raises
    ``InputError`` where reading fails; structures before the damaged one have been yielded by then.
    """
    for entry in read_entries(path):
        if isinstance(entry, InputError):
            raise entry
        yield entry


def read_entries(path: Path, skip: int = 0) -> Iterator[Structure | InputError]:
    """All structures of a file but the first ``skip``, and where one line of a list of SMILES is
    bad, why.

    Else as ``read_structures``.
    """
    check_file(path)
    if path.suffix in SMILES_LISTS:
        yield from _smiles_list(path, skip)
        return
    index = 0
    try:
        _check_counts(path)
        with warnings.catch_warnings():
            # Readers warn of fields that carry no geometry.
            warnings.simplefilter("ignore")
            for atoms in _images(path):
                if index >= skip:
                    name = str(atoms.info.get("name", path.stem))
                    yield Structure(atoms, name, str(path), index)
                index += 1
    except InputError:
        raise
    # Readers of a hundred formats raise whatever their parsers meet.
    except Exception as error:
        where = f" beyond its structure {index}" if index else ""
        raise InputError(
            f"cannot read '{path}'{where} ({_reason(error)}): expected whole structures in the "
            "format of its name; mend it or write it as .xyz"
        ) from error
    if index == 0:
        raise InputError(f"'{path}' holds no structure: expected at least one; check the file")


def _frames(file: IO[bytes], name: Path) -> Iterator[int]:
    """Numbers of atoms of the frames of an xyz file, up to where it is none.

    ASE makes room for, and goes through, whatever number a file declares; so absurd ones are an
    ``InputError`` here.
    """
    while re.fullmatch(rb"[+-]?\d{1,99}", line := file.readline(LONGEST_LINE).strip()):
        n_atoms = int(line)
        widths = re.search(rb'Properties="?([^\s"]+)', file.readline(LONGEST_LINE))
        columns = re.findall(rb":(\d{1,99})", widths[1]) if widths else []
        n_columns = sum(int(width) for width in columns)
        for what, n, most in (("atoms", n_atoms, MOST_ATOMS), ("columns", n_columns, 1000)):
            if not 0 <= n <= most:
                raise InputError(
                    f"'{name}' declares {n} {what} in a structure: expected 0 to {most}; mend the "
                    "file"
                )
        for _ in range(n_atoms):
            if not file.readline(LONGEST_LINE):
                return  # cut short
        yield n_atoms


def _check_counts(path: Path) -> None:
    """Refuse what declares absurd numbers, whatever the name of the file: ASE looks inside."""
    with open_with_compression(str(path), "rb") as file:
        for _ in _frames(file, path):
            pass


def _images(path: Path) -> Iterator[Atoms]:
    if path.suffix != ".db":
        yield from ase.io.iread(str(path), index=":", do_not_split_by_at_sign=True)
        return
    # ASE's reader keeps the rows' names to itself.
    for row in ase.db.connect(str(path)).select():
        atoms = row.toatoms()
        atoms.info |= {key: row[key] for key in ("name", "charge") if key in row}
        yield atoms


def _smiles_list(path: Path, skip: int) -> Iterator[Structure | InputError]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read '{path}' ({_reason(error)}): expected a SMILES on every line; mend the "
            "file"
        ) from error
    entries = [line.split(maxsplit=1) for line in lines if line.strip()]
    if not entries:
        raise InputError(
            f"'{path}' holds no structure: expected a SMILES on every line; check the file"
        )
    for index, (smiles, *rest) in enumerate(entries[skip:], start=skip):
        try:
            found = from_smiles(smiles)
        except InputError as error:
            yield error
        else:
            yield Structure(found.atoms, rest[0].strip() if rest else smiles, str(path), index)


def read_structure(path: Path, index: int | None = None) -> Structure:
    """One structure of a file.

    ``index`` counts from 0, negative ones from the end; ``None`` takes the last, as ASE does (the
    relaxed geometry of an optimization). Raises ``InputError``.
    """
    wanted = -1 if index is None else index
    last: deque[Structure] = deque(maxlen=max(-wanted, 1))
    count = 0
    for structure in read_structures(path):
        if structure.index == wanted:
            return structure
        last.append(structure)
        count += 1
    if wanted < 0 and len(last) == -wanted:
        return last[0]
    raise InputError(
        f"no structure {wanted} in '{path}': it holds {count}, so the index runs from {-count} to "
        f"{count - 1}"
    )


def count_structures(path: Path) -> int:
    """Number of structures of a file where that is cheap to tell, else 1; 0 if unreadable."""
    try:
        check_file(path)
        if path.suffix == ".db":
            return int(ase.db.connect(str(path)).count())
        if path.suffix in SMILES_LISTS:
            return sum(bool(line.strip()) for line in path.read_bytes().splitlines())
        if path.suffix not in {".xyz", ".extxyz"}:
            return 1
        with path.open("rb") as file:
            return sum(1 for _ in _frames(file, path))
    # A database that is none raises what its backend does.
    except Exception:
        return 0


def looks_like_file(text: str) -> bool:
    """Whether ``text`` is meant as a path: it exists, or ends like a geometry file's name."""
    path = Path(text)
    suffix = path.suffix.lstrip(".")
    try:
        return (suffix == suffix.lower() and suffix in _SUFFIXES) or path.exists()
    except OSError:  # a SMILES longer than a file's name may be
        return False


def from_smiles(smiles: str) -> Structure:
    """A force-field geometry of the molecule ``smiles``: ETKDG conformer, relaxed with MMFF94.

    The total formal charge goes to ``atoms.info["charge"]``. Needs RDKit. Raises ``InputError`` for
    text that is no SMILES or a molecule that cannot be embedded.
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
    except ImportError as error:
        raise InputError(
            f"'{smiles}' is no existing file, and reading it as SMILES needs RDKit: "
            'pip install "esml[smiles]"'
        ) from error
    with rdBase.BlockLogs():
        bare: Any = Chem.MolFromSmiles(smiles)
        if bare is None or bare.GetNumAtoms() == 0:
            raise InputError(
                f"'{smiles}' is neither an existing file nor a SMILES that RDKit can read: "
                "check the path or the SMILES"
            )
        molecule = Chem.AddHs(bare)
        if rdDistGeom.EmbedMolecule(molecule, randomSeed=SEED) != 0:
            raise InputError(
                f"no three-dimensional conformer of '{smiles}' was found: give a geometry file"
            )
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
            rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=2000)
    atoms = Atoms(
        [atom.GetAtomicNum() for atom in molecule.GetAtoms()],
        molecule.GetConformer().GetPositions(),
    )
    atoms.info["charge"] = int(Chem.GetFormalCharge(molecule))
    return Structure(atoms, smiles, smiles, 0)
