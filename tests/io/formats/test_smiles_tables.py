"""Tables of SMILES with quoted cells, several delimiters and columns of solvents."""

from __future__ import annotations

from pathlib import Path

import pytest

from esml.io.formats.smiles_lists import count_rows, find_solvents, read_rows, table_rows


def test_a_line_break_in_a_cell_does_not_end_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('name,smiles\n"acrolein\n(propenal)",C=CC=O\n\npyridine,c1ccncc1\n')
    rows = read_rows(path)
    assert [(row.name, row.smiles, row.line) for row in rows] == [
        ("acrolein (propenal)", "C=CC=O", 2),
        ("pyridine", "c1ccncc1", 5),
    ]
    assert count_rows(path) == 2


def test_an_unclosed_quote_spoils_only_its_line() -> None:
    rows = table_rows('name,smiles\n"tube,C\nb,CC\n')
    assert rows[-1] == (3, ["b", "CC"])


@pytest.mark.parametrize(
    "text",
    [
        "smiles\tsolvent, name\tlambda, nm, max\nCC\thexane\t254",
        "smiles;solvent, name;lambda, nm, max\nCC;hexane;254",
        "smiles,solvent; name,lambda\nCC,hexane,254",
    ],
)
def test_the_delimiter_fits_the_rows_below_the_heading(text: str) -> None:
    assert table_rows(text)[1] == (2, ["CC", "hexane", "254"])


@pytest.mark.parametrize(
    ("headings", "column"),
    [
        (["smiles", "solvent"], 1),
        (["smiles", "Solvent name"], 1),
        (["smiles", "solvent (exp.)"], 1),
        (["smiles", "medium", "solvent_smiles"], 2),
        (["smiles", "solvent polarity"], None),
        (["smiles", "epsilon of the solvent"], None),
        (["smiles", "mediumship"], None),
    ],
)
def test_the_column_of_solvents_is_found_by_its_heading(
    headings: list[str], column: int | None
) -> None:
    assert find_solvents(headings) == column
