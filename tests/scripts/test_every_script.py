"""Every script can be imported, says what it does, and is named as the documentation names it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

for package in ("matplotlib", "psutil", "pyscf", "rdkit", "tblite"):
    pytest.importorskip(package)

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "scripts").rglob("*.py")
)
COMMANDS = [
    name
    for name in NAMES
    if name.count(".") == 2
    and "def main(" in (ROOT / name.replace(".", "/")).with_suffix(".py").read_text()
]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name: str) -> None:
    module: ModuleType = importlib.import_module(name)
    assert module.__doc__
    assert module.__doc__.splitlines()[0].endswith((".", "?"))


@pytest.mark.parametrize("name", COMMANDS)
def test_its_help_comes_without_work(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(name)
    assert module.__doc__ is not None
    assert f"python -m {name}" in module.__doc__
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert " ".join(module.__doc__.splitlines()[0].split()) in shown


@pytest.mark.parametrize("name", NAMES)
def test_it_sets_nothing_in_another_module(name: str) -> None:
    """What a script varies is an argument; a constant of another module stays what it says."""
    path = ROOT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    targets = [
        target
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    for target in targets:
        for each in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                assert each.value.id not in imported, ast.unparse(each)


def test_the_documentation_names_scripts_that_exist() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    named = set()
    for path in (Path(name) for name in tracked):
        if path.suffix in (".md", ".py", ".yaml", ".yml", ".toml") or path.name == "Makefile":
            text = (ROOT / path).read_text(encoding="utf-8")
            named |= {
                (str(path), found) for found in re.findall(r"(?<!tests/)scripts/[\w/]+\.py", text)
            }
            named |= {
                (str(path), f"{found.replace('.', '/')}.py")
                for found in re.findall(r"-m (scripts\.[\w.]+\w)", text)
            }
    assert len(named) > 30
    assert not {(path, name) for path, name in named if not (ROOT / name).is_file()}
