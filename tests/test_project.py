"""What the project says of itself agrees with what it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from test_layout import imports, modules

import esml

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OWN = {"esml", "reference"}


def canonical(requirement: str) -> str:
    """The normalized name of a distribution in a requirement: ``Pkg_A[x]>=1`` → ``pkg-a``."""
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


USERS = ["plot", "report", "tables", "chemiscope", "smiles", "cluster"]
"""Extras for those who predict."""


def declared(*extras: str) -> set[str]:
    requirements = list(PROJECT["dependencies"])
    for extra in extras:
        requirements += PROJECT["optional-dependencies"][extra]
    return {canonical(r) for r in requirements if not r.startswith("esml[")}


def imported(package: str) -> set[str]:
    """Top-level names outside the standard library that a package imports."""
    names = {i.split(".")[0] for name, path in modules(package) for i, _ in imports(path, name)}
    return names - set(sys.stdlib_module_names) - OWN - {""}


@pytest.mark.parametrize(
    ("package", "extras"),
    [
        ("esml", [*USERS, "reference"]),  # PySCF, for esml.interfaces.pyscf
        ("reference", ["reference"]),
    ],
)
def test_every_import_is_a_declared_dependency(package: str, extras: list[str]) -> None:
    homes = packages_distributions()
    for name in imported(package):
        distributions = {canonical(d) for d in homes.get(name, [name])}
        assert distributions & declared(*extras), f"{package} imports {name}, not declared"


def test_every_dependency_is_pinned_and_no_place_is_named() -> None:
    text = (ROOT / "requirements" / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pins = {canonical(line) for line in lines}
    wanted = declared(*USERS, "reference", "dev", "docs") | {"setuptools"}
    assert wanted <= pins, wanted - pins
    assert "://" not in text


def test_versions_agree() -> None:
    assert PROJECT["version"] == esml.__version__
    assert f"[{esml.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_as_declared() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "BSD-3-Clause"
    assert text.startswith("BSD 3-Clause License")
    assert "The esml developers" in text


def test_ci_is_executable() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_readme_names_only_commands_and_targets_that_exist() -> None:
    from typer.main import get_command

    from esml.commands.app import app

    commands: dict[str, Any] = getattr(get_command(app), "commands")  # noqa: B009
    makefile = (ROOT / "Makefile").read_text()
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.split("#")[0].split()
            if words[:1] == ["esml"]:
                assert words[1] in commands
                options = {o for p in commands[words[1]].params for o in (*p.opts, "--help")}
                assert {w for w in words[2:] if w.startswith("-")} <= options, line
            elif words[:1] == ["make"]:
                assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE), line


def test_the_readme_examples_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=tmp_path,
            env={**os.environ, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
