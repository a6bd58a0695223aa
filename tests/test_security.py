"""No file runs code: no way to do so is in the source, and files that try do not succeed."""

from __future__ import annotations

import ast
import os
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.build import molecule
from ase.io import write
from test_cli import refusal, run

from scripts.robustness import audit

ROOT = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("esml", "reference", "scripts", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
"""Whatever loads objects by running what is in a file."""

CALLS = {"eval", "exec", "compile", "__import__"}

METHODS = {
    ("torch", "load"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("pandas", "read_pickle"),
    ("os", "system"),
    ("os", "popen"),
}


def dangers(source: str) -> list[str]:
    """What in a Python source can run code that a file brings."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            call = node.func
            if isinstance(call, ast.Name) and call.id in CALLS:
                found.append(call.id)
            if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name):
                name = call.value.id, call.attr
                found += [".".join(name)] if name in METHODS else []
            for keyword in node.keywords:
                true = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                if keyword.arg in ("allow_pickle", "shell") and true:
                    found.append(str(keyword.arg))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_in_the_source_runs_what_a_file_brings(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == []


def test_the_search_finds_what_it_looks_for() -> None:
    for source in (
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "import yaml\nyaml.load(x, Loader=yaml.Loader)",
        "eval('1')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
    ):
        assert len(dangers(source)) == 1, source
    assert dangers("model.eval()\nyaml.safe_load(x)\nre.compile('x')\nnp.load('x')") == []


class Trap:
    """Pickled, this makes a directory wherever it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["info"], "a.safetensors"),
        (["info"], "a.pt"),
        (["evaluate", "default"], "a.h5"),
        (["train"], "a.yaml"),
        (["spectrum"], "a.traj"),
        (["spectrum"], "a.pckl"),
        (["spectrum"], "a.json"),
        (["spectrum"], "a.db"),
        (["spectrum"], "a.py"),
        (["spectrum"], "a.bundle"),
    ],
)
@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_file_that_would_run_code_does_not(
    tmp_path: Path, command: list[str], name: str, kind: str
) -> None:
    trap, path = tmp_path / "executed", tmp_path / name
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Trap(trap)))
    else:
        torch.save({"state": Trap(trap)}, path)
    refusal(run(*command, path))
    assert not trap.exists()
    pickle.loads(pickle.dumps(Trap(trap)))  # the trap itself works
    assert trap.exists()


def test_yaml_that_would_run_code_does_not(tmp_path: Path) -> None:
    trap, path = tmp_path / "executed", tmp_path / "train.yaml"
    for tag in ("object/apply:os.mkdir", "object/new:os.mkdir"):
        path.write_text(f"!!python/{tag} ['{trap}']\n")
        assert "not readable YAML" in refusal(run("train", path))
        assert not trap.exists()


class Scripts(HTMLParser):
    """Scripts and images of a page, and what stands in its headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.tags: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)


def test_the_report_escapes_what_a_file_says(tmp_path: Path) -> None:
    """The name of the molecule, from the comment of a file, and the file's own name."""
    evil = '<script>alert("x")</script><iframe src=x>'
    atoms = molecule("H2CO")
    folder = tmp_path / "<iframe src=y>"
    folder.mkdir()
    path = folder / "a<script>alert(2)<script>.xyz"
    atoms.info["name"] = evil
    write(path, atoms, format="extxyz")
    page = tmp_path / "page.html"
    result = run("spectrum", path, "--n-states", "1", "--report", page)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    found = Scripts(text)
    assert "iframe" not in found.tags
    assert not [script for script in found.scripts if re.match(r"\s*alert\(", script)]
    assert "&lt;script&gt;alert(&quot;x&quot;)" in text


def test_the_audit_finds_what_is_not_as_pinned() -> None:
    wanted = audit.pins("# pins\nTorch_X==2.4.1\nnumpy==1.26\n")
    assert wanted == {"torch-x": "2.4.1", "numpy": "1.26"}
    assert audit.differences(wanted, {"torch-x": "2.4.1+cpu", "other": "1"}) == []
    (problem,) = audit.differences(wanted, {"torch-x": "2.5", "numpy": "1.26"})
    assert problem == "torch-x 2.5 is installed where 2.4.1 is pinned"
    for line in ("numpy>=1.26", "numpy", "numpy @ https://example.org/numpy.whl"):
        with pytest.raises(ValueError, match=r"expected NAME==VERSION"):
            audit.pins(line)
