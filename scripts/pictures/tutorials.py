"""Update printed output and pictures in README, home page, start page and tutorials.

    python -m scripts.pictures.tutorials [PAGE.md ...]

A page quotes what a command prints between ``<!-- printed: COMMAND -->`` and ``<!-- end -->``. The
commands of a page run in turn in one empty folder that holds ``examples``. A quote that ends with
``⋮`` keeps its number of lines. Pictures on the page are replaced by pictures of the same name that
the commands wrote, or that ``scripts.pictures.drawings`` makes from their output; check the text
around them yourself. All pages take half an hour of one core, most of it for 1,000 dyes, dynamics
and the training of a model. Needs the extras ``plot``, ``smiles`` and ``reference``.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts import ROOT
from scripts.pages import fill
from scripts.pictures.drawings import DRAWINGS

PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "index.md",
    ROOT / "docs" / "start.md",
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
]

MORE = "⋮"


def printed(command: str, folder: Path) -> str:
    """Run ``command`` (``python`` or ``esml``) in ``folder``; return output, show errors."""
    print(f"$ {command}", flush=True)
    program, *arguments = shlex.split(command)
    start = {"python": [sys.executable], "esml": [sys.executable, "-m", "esml"]}[program]
    run = subprocess.run(
        start + arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return "\n".join(line.rstrip() for line in run.stdout.strip().splitlines())


def quote(text: str, before: str) -> str:
    """Format ``text`` as a block; cut it to the length of ``before`` if that is an excerpt."""
    lines, old = text.splitlines(), before.strip().splitlines()
    if MORE in old[-2:]:
        lines = [*lines[: len(old) - 3], MORE]
    return "\n".join(["```", *lines, "```"])


def redraw(page: Path) -> None:
    """Run the commands of ``page``, and insert their output and pictures."""
    text = page.read_text(encoding="utf-8")
    marks = re.findall(r"<!-- printed: (.+?) -->\n(.*?)<!-- end -->", text, re.DOTALL)
    shown = [page.parent / name for name in re.findall(r"(?:\]\(|src=\")([^\s)\"]+\.png)", text)]
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "examples").symlink_to(ROOT / "examples")
        fill(page, {c: quote(printed(c, folder), old) for c, old in marks}, "printed")
        for picture in shown:
            if picture.stem in DRAWINGS:
                picture.parent.mkdir(parents=True, exist_ok=True)
                DRAWINGS[picture.stem](folder).savefig(picture, dpi=150)
            elif (folder / picture.name).exists():
                shutil.copy(folder / picture.name, picture)
            else:
                continue
            print(picture.resolve(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES, metavar="PAGE.md")
    for page in parser.parse_args().pages:
        redraw(page)
        print(page, flush=True)


if __name__ == "__main__":
    main()
