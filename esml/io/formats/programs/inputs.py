"""Read inputs of Gaussian and ORCA: geometry with charge and multiplicity.

For outputs see ``esml.io.formats.programs.outputs``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ase.units import Bohr

from esml.io.formats.atom_tables import Table
from esml.io.formats.xyz import molecule, number, read_xyz
from esml.io.provenance import InputError


def _with_multiplicity(table: Table, multiplicity: int) -> Table:
    table.atoms.info["multiplicity"] = multiplicity
    return table


_CHARGE_LINE = re.compile(r"\s*([+-]?\d+)\s*[, ]\s*(\d+)(?:[\s,]+[+-]?\d+)*\s*")


def read_gaussian_input(text: str) -> Iterator[Table | InputError]:
    """Yield the molecules of a Gaussian input with Cartesian coordinates, one for each job.

    ``--Link1--`` separates jobs, and their titles name the molecules. A job that takes its geometry
    from a checkpoint file gives an ``InputError`` that says so.
    """
    for job in re.split(r"^\s*--link1--\s*$", text, flags=re.MULTILINE | re.IGNORECASE):
        if job.strip():
            try:
                yield _gaussian_job(job)
            except (ValueError, IndexError) as error:
                yield InputError(
                    f"the Gaussian input cannot be read ({error}): expected a route '#…', a title, "
                    "'charge multiplicity' and 'symbol x y z' for each atom; write it so"
                )


def _gaussian_job(job: str) -> Table:
    parts = re.split(r"\n\s*\n", job.strip("\n"))
    route = " ".join(line for line in parts[0].split("\n") if not line.strip().startswith("%"))
    if re.search(r"geom\s*=?\s*\(?\s*\w*check", route, re.IGNORECASE):
        raise ValueError("its geometry is in a checkpoint file")
    if not route.strip().startswith("#") or len(parts) < 3:
        raise ValueError("it has no route, title and molecule with empty lines between")
    lines = parts[2].split("\n")
    match = _CHARGE_LINE.fullmatch(lines[0])
    if not match:
        raise ValueError(f"'{lines[0].strip()}' does not give charge and multiplicity")
    in_bohr = re.search(r"units?\s*=?\s*\(?[^\s)]*(au|bohr)", route, re.IGNORECASE)
    scale = Bohr if in_bohr else 1.0
    symbols, coordinates = [], []
    for line in lines[1:]:
        words = line.replace(",", " ").split()
        symbol = re.sub(r"\(.*?\)", "", words[0]).split("-")[0]
        rest = words[1:]
        # A column of 0 or −1 says whether the atom is frozen.
        if len(rest) > 3 and re.fullmatch(r"-?\d+", rest[0]):
            rest = rest[1:]
        if len(rest) < 3:
            raise ValueError(f"'{line.strip()}' gives no Cartesian coordinates")
        symbols.append(symbol)
        coordinates.append([scale * number(word) for word in rest[:3]])
    atoms, notes = molecule(symbols, coordinates)
    title = " ".join(parts[1].split())
    source = f"'{lines[0].strip()}' of the Gaussian input"
    return _with_multiplicity(Table(atoms, title, int(match[1]), source, notes), int(match[2]))


_STARRED = re.compile(
    r"^\s*\*\s*(xyzfile|xyz|int|internal|gzmt)\s+([+-]?\d+)\s+(\d+)(.*)$", re.I | re.M
)


def read_orca_input(text: str, folder: Path) -> Iterator[Table | InputError]:
    """Yield the molecules of an ORCA input: ``* xyz``, ``* xyzfile`` (same folder), ``%coords``."""
    bare = re.sub(r"#.*?(#|$)", "", text, flags=re.MULTILINE)
    scale = Bohr if re.search(r"^\s*!.*\bbohrs?\b", bare, re.I | re.M) else 1.0
    found = False
    try:
        for match in _STARRED.finditer(bare):
            found = True
            yield _orca_block(bare, match, scale, folder)
        if block := re.search(r"^\s*%coords\b(.*)", bare, re.I | re.M | re.S):
            found = True
            yield _orca_coords(block[1], scale)
    except (ValueError, IndexError) as error:
        yield InputError(
            f"the ORCA input cannot be read ({error}): expected '* xyz charge multiplicity', "
            "'symbol x y z' for each atom and '*'; write it so"
        )
        return
    if not found:
        yield InputError(
            "it is not an ORCA input with a molecule: expected '* xyz charge multiplicity'; fix it"
        )


def _orca_block(text: str, match: re.Match[str], scale: float, folder: Path) -> Table:
    kind, charge, multiplicity = match[1].lower(), int(match[2]), int(match[3])
    source = f"'{match[0].strip()}' of the ORCA input"
    if kind == "xyzfile":
        path = folder / match[4].strip().strip("\"'")
        if not path.is_file():
            raise ValueError(f"there is no file '{path}'")
        atoms, _, notes = next(read_xyz(path))
        table = Table(atoms, path.stem, charge, source, notes)
        return _with_multiplicity(table, multiplicity)
    if kind != "xyz":
        raise ValueError("it gives internal coordinates")
    body = text[match.end() :].split("*", 1)[0]
    rows = [line.split() for line in body.split("\n") if line.strip()]
    return _with_multiplicity(_orca_atoms(rows, scale, charge, source), multiplicity)


def _orca_coords(block: str, scale: float) -> Table:
    def value(key: str) -> int:
        match = re.search(rf"^\s*{key}\s+([+-]?\d+)", block, re.I | re.M)
        if not match:
            raise ValueError(f"%coords has no {key}")
        return int(match[1])

    if re.search(r"^\s*units\s+bohrs?", block, re.I | re.M):
        scale = Bohr
    coordinates = re.search(r"^\s*coords\s*$(.*)", block, re.I | re.M | re.S)
    if not coordinates:
        raise ValueError("%coords has no coords")
    body = re.split(r"^\s*end\b", coordinates[1], maxsplit=1, flags=re.I | re.M)[0]
    rows = [line.split() for line in body.split("\n") if line.strip()]
    charge = value("charge")
    table = _orca_atoms(rows, scale, charge, "%coords of the ORCA input")
    return _with_multiplicity(table, value("mult"))


def _orca_atoms(rows: list[list[str]], scale: float, charge: int, source: str) -> Table:
    for row in rows:
        if ":" in row[0] or row[0].upper() in ("DA", "Q"):
            raise ValueError(f"'{' '.join(row)}' is a dummy or ghost atom or a point charge")
    coordinates = [[scale * number(word) for word in row[1:4]] for row in rows]
    if any(len(place) < 3 for place in coordinates):
        raise ValueError("an atom has no three coordinates")
    atoms, notes = molecule([re.sub(r"\(.*\)", "", row[0]) for row in rows], coordinates)
    return Table(atoms, "", charge, source, notes)


def is_orca_input(text: str) -> bool:
    """Return whether ``text`` has a molecule after ``*`` or ``%coords``, as all ORCA inputs do."""
    return bool(_STARRED.search(text) or re.search(r"^\s*%coords\b", text, re.I | re.M))
