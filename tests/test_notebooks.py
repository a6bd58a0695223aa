"""Every notebook of ``examples/notebooks`` runs and shows what it says; `make notebooks`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import esml
from esml.units import HC
from scripts.pictures.notebooks import FOLDER, run_notebook

NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
slow = pytest.mark.slow  # starts a kernel for each notebook


def executed(name: str, folder: Path) -> tuple[str, int]:
    """What a notebook prints and shows as text, and how many pictures it draws."""
    for package in ("nbclient", "ipykernel", "matplotlib", "pandas", "rdkit", "tblite"):
        pytest.importorskip(package)
    notebook: Any = run_notebook(FOLDER / f"{name}.ipynb", folder)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output["text"] for output in outputs if output["output_type"] == "stream"]
    shown = [output["data"] for output in outputs if "data" in output]
    texts += [data["text/html" if "text/html" in data else "text/plain"] for data in shown]
    return "\n".join(texts), sum("image/png" in data for data in shown)


def column(text: str, heading: str) -> list[float]:
    """Numbers of a column of the table that pandas shows."""
    head = re.findall(r"<th>(.*?)</th>", text.partition("<thead>")[2].partition("</tr>")[0])
    rows = text.partition("<tbody>")[2].partition("</tbody>")[0].split("</tr>")
    place = head.index(heading) - 1  # the index has no cell of its own
    return [float(re.findall(r"<td>(.*?)</td>", row)[place]) for row in rows if "<td>" in row]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_kept_without_outputs_and_shown_in_the_documentation(name: str) -> None:
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    page = (FOLDER.parents[1] / "docs" / "notebooks" / f"{name}.md").read_text(encoding="utf-8")
    for cell in notebook["cells"]:
        lines = [line for line in "".join(cell["source"]).splitlines() if line.strip()]
        missing = [line for line in lines if line.rstrip() not in page]
        assert not missing, "run python -m scripts.pictures.notebooks docs/notebooks"


@slow
def test_first_spectrum(tmp_path: Path) -> None:
    text, pictures = executed("first_spectrum", tmp_path)
    assert pictures == 2
    with open(tmp_path / "notebooks" / "methyl-yellow.csv", newline="") as file:
        rows = [(float(row[1]), float(row[2])) for row in list(csv.reader(file))[1:]]
    near = [row for row in rows if row[0] > 200.0]
    highest = max(near, key=lambda row: row[1])
    assert 330.0 < highest[0] < 480.0  # an azo dye with an amine absorbs violet light
    stated = re.search(r"λmax (\d+) nm", text)
    assert stated is not None
    assert float(stated[1]) == pytest.approx(highest[0], abs=2.0)
    assert (tmp_path / "notebooks" / "methyl-yellow.html").stat().st_size < 2e6


@slow
def test_a_set_of_molecules(tmp_path: Path) -> None:
    pytest.importorskip("chemiscope")
    text, pictures = executed("a_set_of_molecules", tmp_path)
    assert pictures == 1
    assert "a radical: '[CH2]c1ccccc1' is a radical" in text
    assert "18 molecules on the map, 1 left out" in text
    names = re.findall(r"<th>(.*?)</th>", text.partition("<tbody>")[2])
    assert names[0] == "N(CH3)2–C6H4–NO2"  # the best donor with the best acceptor
    wavelengths, strengths = column(text, "λ (nm)"), column(text, "f")
    assert wavelengths == sorted(wavelengths, reverse=True)
    # What the text says: better donors and acceptors, longer wavelengths.
    of = dict(zip(names, wavelengths, strict=True))
    donors, acceptors = ("H", "CH3", "OH", "OCH3", "NH2", "N(CH3)2"), ("CN", "CHO", "NO2")
    rows = [[of[f"{d}–C6H4–{a}"] for d in donors] for a in acceptors]
    rows += [[of[f"{d}–C6H4–{a}"] for a in acceptors] for d in donors]
    for row in rows:
        assert row == sorted(row)
    # Wavelength and strength of a row belong to one state, the brightest above 210 nm.
    for name, smiles in (
        ("NH2–C6H4–CN", "Nc1ccc(C#N)cc1"),
        ("H–C6H4–CN", "c1ccc(C#N)cc1"),
        ("OCH3–C6H4–CHO", "COc1ccc(C=O)cc1"),
    ):
        states = esml.predict(smiles, n_states=6, geometry="mmff").singlets
        seen = HC / states.energies >= 210.0
        state = int(np.where(seen, states.oscillator_strengths, -1.0).argmax())
        place = names.index(name)
        assert wavelengths[place] == pytest.approx(HC / states.energies[state], abs=0.02)
        assert strengths[place] == pytest.approx(states.oscillator_strengths[state], abs=0.006)
    document = json.loads((tmp_path / "notebooks" / "dyes.chemiscope.json").read_text())
    assert len(document["structures"]) == 18


@slow
def test_reading_a_state(tmp_path: Path) -> None:
    text, pictures = executed("reading_a_state", tmp_path)
    assert pictures == 3
    assert "nitro ['N8', 'O9', 'O10']" in text
    assert "charge transfer amino and 1,4-phenylene → nitro" in text
    moved = re.search(r"([\d.]+) electrons move", text)
    assert moved is not None
    assert 0.05 < float(moved[1]) < 0.5  # most of the charge comes from the ring
