"""The server's page in a browser: what a person can do, and that names stay text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import needed, opened

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("rdkit")
pytest.importorskip("axe_playwright_python")
pytest.importorskip("playwright")

from playwright.sync_api import expect

from scripts.pictures.accessibility import violations
from scripts.serving import served

pytestmark = needed
expect.set_options(timeout=300_000)  # a busy machine

EXAMPLES = Path(__file__).parents[2] / "examples"
EVIL = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def session() -> Iterator[tuple[Any, list[str], list[str]]]:
    with (
        served() as running,
        opened(running.url, viewport={"width": 1100, "height": 900}) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def tab(session: tuple[Any, list[str], list[str]]) -> Any:
    return session[0]


def drop(tab: Any, place: str, name: str, content: str) -> None:
    """Let go of a file over an element of the page."""
    held = tab.evaluate_handle(
        """([name, content]) => {
            const held = new DataTransfer();
            held.items.add(new File([content], name));
            return held;
        }""",
        [name, content],
    )
    tab.dispatch_event(place, "dragover", {"dataTransfer": held})
    tab.dispatch_event(place, "drop", {"dataTransfer": held})


def brightest(tab: Any) -> float:
    """Energy (eV) of the state that the page has chosen."""
    return float(tab.inner_text("#table tr.chosen td:nth-child(2)"))


def test_a_bond_drawn_with_the_mouse_is_ethane(tab: Any) -> None:
    box = tab.locator("#editor").bounding_box()
    x, y = box["x"] + 0.55 * box["width"], box["y"] + 0.5 * box["height"]
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 30, y - 15, steps=5)
    tab.mouse.up()
    expect(tab.locator("#smiles")).to_have_value("CC")
    expect(tab.locator("#said")).to_contain_text("C2H6")


def test_a_smiles_is_drawn_and_answered(tab: Any) -> None:
    tab.fill("#smiles", "Nc1ccc(cc1)[N+](=O)[O-]")
    tab.get_by_text("Answered in").wait_for()
    assert "C6H6N2O2" in tab.inner_text("#said")
    assert "charge transfer" in tab.inner_text("#table")
    assert "nitro" in tab.inner_text("#table")  # fragments by their names
    assert tab.locator("#spectrum svg .curve").count() == 1
    with tab.expect_download() as waiting:
        tab.click("#csv")
    assert Path(waiting.value.path()).read_text().startswith("energy_eV,wavelength_nm")
    assert violations(tab) == []


def test_a_solvent_can_be_chosen(tab: Any) -> None:
    """p-Nitroaniline, a push–pull dye, absorbs further to the red in water."""
    tab.fill("#smiles", "Nc1ccc(cc1)[N+](=O)[O-]")
    expect(tab.locator("#said")).to_contain_text("C6H6N2O2")
    tab.get_by_text("Answered in").wait_for()  # for the relaxed geometry
    before = brightest(tab)
    tab.select_option("#solvent", "water")
    energy = tab.locator("#table tr.chosen td:nth-child(2)")
    expect(energy).not_to_have_text(f"{before:.2f}")
    tab.get_by_text("Answered in").wait_for()  # for the relaxed geometry
    assert brightest(tab) < before - 0.1
    tab.select_option("#solvent", "vacuum")
    expect(energy).to_have_text(f"{before:.2f}")  # when GFN2-xTB has relaxed it again


def test_a_file_can_be_dropped_and_its_name_stays_text(tab: Any) -> None:
    drop(
        tab, "#input", f"{EVIL}.xyz", f"4\n{EVIL}\nO 0 0 0\nC 0 0 1.2\nH 0 0.94 1.8\nH 0 -0.94 1.8"
    )
    expect(tab.locator("#said")).to_contain_text("CH2O")
    assert EVIL in tab.inner_text("#said")
    assert tab.locator("img[src='x']").count() == 0
    assert tab.title() != "owned"


def test_what_cannot_be_read_is_refused_in_a_sentence(tab: Any) -> None:
    drop(tab, "#input", "../../etc/passwd", "root:x:0:0")
    expect(tab.locator("#refusal")).to_contain_text("ends in no format that is taken here")
    tab.fill("#smiles", EVIL)
    expect(tab.locator("#refusal")).to_contain_text("is no SMILES")
    assert tab.locator("img[src='x']").count() == 0
    assert violations(tab) == []


def test_a_list_is_worked_through_with_progress(tab: Any, tmp_path: Path) -> None:
    seen: list[str] = []
    tab.expose_function("esmlSeen", lambda text: seen.append(text))
    tab.evaluate(
        """() => new MutationObserver(() => {
            const text = document.getElementById("batches").textContent;
            window.esmlSeen(text);
        }).observe(document.getElementById("batches"), {childList: true, subtree: true})"""
    )
    lines = f"C=O {EVIL}\nN#N nitrogen\nnonsense bad\nC=C ethene\n"
    tab.set_input_files(
        "#list", {"name": f"{EVIL}.smi", "mimeType": "text/plain", "buffer": lines.encode()}
    )
    row = tab.locator("#batches tr").first
    row.get_by_text("done, 4 of 4").wait_for()
    assert EVIL in row.inner_text()
    assert "1 failed: " in row.inner_text()
    assert any(" of 4" in text and "done" not in text for text in seen)  # while it ran
    assert tab.locator("img[src='x']").count() == 0
    assert violations(tab) == []
    with tab.expect_download() as waiting:
        row.get_by_text("Download").click()
    waiting.value.save_as(tmp_path / "results.csv")
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert [bool(each["S1_eV"]) for each in rows] == [True, True, False, True]
    row.get_by_text("Forget").click()
    expect(tab.locator("#batches tr")).to_have_count(0)


def test_the_solvent_of_a_list_is_that_of_the_page(tab: Any, tmp_path: Path) -> None:
    tab.fill("#smiles", "")
    tab.select_option("#solvent", "water")
    file = {"name": "a.xyz", "mimeType": "text/plain", "buffer": b"2\n\nH 0 0 0\nH 0 0 0.74\n"}
    tab.set_input_files("#list", file)
    row = tab.locator("#batches tr").first
    expect(row).to_contain_text("done, 1 of 1")
    expect(row).to_contain_text("a.xyz, in water")
    with tab.expect_download() as waiting:
        row.get_by_text("Download").click()
    waiting.value.save_as(tmp_path / "results.csv")
    with open(tmp_path / "results.csv", newline="") as table:
        assert [each["solvent"] for each in csv.DictReader(table)] == ["water"]
    row.get_by_text("Forget").click()
    tab.select_option("#solvent", "vacuum")
    expect(tab.locator("#batches tr")).to_have_count(0)


@pytest.mark.parametrize(
    ("smiles", "words"),
    [
        ("C" * 3_000, "3,000 characters: expected at most 2,000"),
        ("C" * 300, "more than 299 atoms: expected at most 250"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_drawn(tab: Any, smiles: str, words: str) -> None:
    """A long chain kept the editor busy for seconds, and the whole tab with it."""
    tab.fill("#smiles", "")
    seconds = tab.evaluate(
        """(smiles) => {
            const field = document.getElementById("smiles"), begun = performance.now();
            field.value = smiles;
            field.dispatchEvent(new Event("input"));
            return (performance.now() - begun) / 1000;
        }""",
        smiles,
    )
    assert seconds < 0.5
    assert words in tab.inner_text("#refusal")


def test_an_emptied_field_leaves_nothing_behind(tab: Any) -> None:
    tab.fill("#smiles", "C=O")
    tab.get_by_text("Answered in").wait_for()
    assert tab.locator("#spectrum svg").count() == 1
    tab.fill("#smiles", "C=CC=O")
    expect(tab.locator("#output")).to_have_attribute("aria-busy", "true")
    tab.fill("#smiles", "")
    assert tab.locator("#spectrum svg").count() == 0
    assert tab.locator("#table tbody tr").count() == 0
    assert tab.inner_text("#progress").strip() == ""
    assert tab.get_attribute("#output", "aria-busy") == "false"
    assert tab.is_disabled("#report")
    tab.fill("#smiles", "C=O")
    expect(tab.locator("#said")).to_contain_text("CH2O")
    tab.get_by_text("Answered in").wait_for()


def test_the_console_is_clean_and_nothing_was_loaded_from_elsewhere(
    session: tuple[Any, list[str], list[str]],
) -> None:
    """After all of the above that ran in this process; Chromium notes two refused questions."""
    tab, messages, asked = session
    refusals = [text for text in messages if "status of 422" in text]
    assert len(refusals) <= 2
    assert [text for text in messages if text not in refusals] == []
    home = tab.url.rstrip("/")
    assert all(url.startswith((home, "data:", "blob:")) for url in asked)
