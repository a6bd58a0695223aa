"""Run the notebooks of ``examples/notebooks`` and write them as pages of the documentation.

    python -m scripts.pictures.notebooks docs/notebooks

Runs every notebook from its first cell in a kernel of its own, and stops at the error of a cell, if
there is one. The notebooks themselves stay unchanged, without outputs.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "notebooks"


def run_notebook(path: Path, folder: Path, seconds: int = 300) -> Any:
    """Run the notebook of ``path`` in ``folder`` / ``notebooks`` and return it with outputs.

    Geometries of ``examples/`` are beside that folder, as in a clone, and the notebook writes its
    files into it. Raises ``nbclient.exceptions.CellExecutionError`` for a cell that fails.
    """
    import nbformat
    from nbclient import NotebookClient

    inside = folder / "notebooks"
    inside.mkdir(parents=True, exist_ok=True)
    for geometry in path.parents[1].glob("*.xyz"):
        shutil.copy(geometry, folder)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=seconds, resources={"metadata": {"path": str(inside)}}
    )
    client.execute()
    return notebook


def write_markdown(path: Path, target: Path) -> None:
    """Run the notebook of ``path``; write its page and pictures into the folder ``target``."""
    from nbconvert import MarkdownExporter

    with TemporaryDirectory() as folder:
        notebook = run_notebook(path, Path(folder))
    pictures = {"unique_key": path.stem, "output_files_dir": "pictures"}
    text, made = MarkdownExporter().from_notebook_node(notebook, resources=pictures)
    title, _, rest = text.partition("\n")
    home = f"*This page is the notebook* `{path.relative_to(ROOT)}`*, run from top to bottom.*"
    rest = rest.replace("![png]", "![picture that the cell above draws]")
    lines = [line.rstrip() for line in f"{title}\n\n{home}\n{rest}".splitlines()]
    page = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
    (target / f"{path.stem}.md").write_text(page, encoding="utf-8")
    for name, content in made["outputs"].items():
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_bytes(content)
    print(target / f"{path.stem}.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="where the pages go")
    target = parser.parse_args().folder
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("*.ipynb")):
        write_markdown(path, target)


if __name__ == "__main__":
    main()
