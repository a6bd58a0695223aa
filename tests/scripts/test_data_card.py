"""The data card: its numbers come from the records, by the script."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import h5py
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rdkit")

from esml.io.records import read, shard_paths
from scripts.data import card

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "data.md"
BLOCK = re.compile(r"(?<=-->\n).*?(?=<!-- end -->)", re.DOTALL)


def run(*arguments: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["card", *map(str, arguments)])
        card.main()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The page of the small set alone, and where its pictures are."""
    directory = tmp_path_factory.mktemp("card")
    page = directory / "data.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    run(ROOT / "data" / "small", "--page", page, "--figures", directory)
    return page.read_text(encoding="utf-8"), directory


def row(page: str, begin: str) -> list[str]:
    """Cells of the table row that begins with ``begin``."""
    (line,) = [x for x in page.splitlines() if x.startswith(f"| {begin} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_numbers_are_those_of_the_records(made: tuple[str, Path]) -> None:
    page, _ = made
    records = read(ROOT / "data" / "small")
    assert row(page, "`small/`")[1:3] == [
        f"{len(records):,}",
        f"{len({r.inchikey for r in records}):,}",
    ]
    for split in ("train", "validation", "test"):
        assert row(page, split)[1] == str(sum(r.split == split for r in records))
    below = sum(int((r.singlet_energies < 6).sum()) for r in records)
    held = sum(
        int(((r.singlet_energies < 6) & (r.singlet_valence_weights >= 0.85)).sum()) for r in records
    )
    cells = row(page, "sampled, below 6 eV")
    assert cells[1] == f"{below:,}"
    assert cells[2].startswith(f"{held:,} (")
    s1 = sorted(float(r.singlet_energies[0]) for r in records)
    assert row(page, "S1 (eV)")[1] == f"{s1[0]:.2f}"
    assert row(page, "S1 (eV)")[-1] == f"{s1[-1]:.2f}"


def test_the_text_around_the_numbers_is_left_alone(made: tuple[str, Path]) -> None:
    assert BLOCK.sub("", made[0]) == BLOCK.sub("", PAGE.read_text(encoding="utf-8"))


def test_pictures_are_made_and_small(made: tuple[str, Path]) -> None:
    named = set(re.findall(r"\(figures/(data_\w+\.png)\)", made[0]))
    assert named == {path.name for path in made[1].glob("*.png")}
    for name in named:
        for path in (made[1] / name, ROOT / "docs" / "figures" / name):
            assert path.read_bytes().startswith(b"\x89PNG")
            assert path.stat().st_size < 150_000


def test_the_page_is_up_to_date() -> None:
    """Run scripts/data/card.py after every change of data/."""
    keys: set[str] = set()
    for path in shard_paths(ROOT / "data"):
        if path.parent.name in card.APART:
            continue
        with h5py.File(path) as file:
            keys.update(file["key"].asstr()[:])
    assert row(PAGE.read_text(encoding="utf-8"), "together")[1] == f"{len(keys):,}"


def test_a_page_without_a_block_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "data.md"
    page.write_text(PAGE.read_text(encoding="utf-8").replace("data card: cost", "data card: price"))
    before = page.read_text()
    with pytest.raises(SystemExit, match="has no single block '<!-- data card: cost -->'"):
        run(ROOT / "data" / "extrapolation", "--page", page, "--figures", tmp_path)
    assert page.read_text() == before
