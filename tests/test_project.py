"""What the project says of itself agrees with what it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_layout import imports, modules

import esml
from esml.commands.doctor import EXTRAS

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OWN = {"esml", "reference", "scripts"}


def canonical(requirement: str) -> str:
    """The normalized name of a distribution in a requirement: ``Pkg_A[x]>=1`` → ``pkg-a``."""
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


USERS = ["plot", "report", "tables", "tensorboard", "chemiscope", "smiles", "cclib", "cluster"]
USERS += ["serve", "tools"]
"""Extras for those who predict."""


def declared(*extras: str) -> set[str]:
    requirements = list(PROJECT["dependencies"])
    for extra in extras:
        requirements += PROJECT["optional-dependencies"][extra]
    return {canonical(r) for r in requirements if not r.startswith("esml[")}


def test_the_doctor_looks_for_what_the_extras_bring() -> None:
    assert set(EXTRAS) == {*USERS, "reference"}
    for extra, (_, packages) in EXTRAS.items():
        stated = PROJECT["optional-dependencies"][extra]
        inner = {"smiles"} if any(r.startswith("esml[smiles]") for r in stated) else set()
        assert set(packages) == declared(extra, *inner) - declared()


def imported(package: str) -> set[str]:
    """Top-level names outside the standard library that a package imports."""
    names = {i.split(".")[0] for name, path in modules(package) for i, _ in imports(path, name)}
    return names - set(sys.stdlib_module_names) - OWN - {""}


@pytest.mark.parametrize(
    ("package", "extras"),
    [
        ("esml", [*USERS, "reference"]),  # PySCF, for esml.interfaces.pyscf
        ("reference", ["reference"]),
        ("scripts", [*USERS, "reference", "dev", "docs", "peers"]),
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


def test_the_version_is_that_of_the_package() -> None:
    """``esml.__version__`` is its one source; the changelog has a section of it."""
    assert PROJECT["dynamic"] == ["version"]
    assert f"[{esml.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of this clone."""
    folder = tmp_path_factory.mktemp("built")
    clone = folder / "clone"
    for name in ("esml", "reference", "scripts", "examples", "tests"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    done = subprocess.run([*build, str(clone)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_installs_esml_alone(wheel: Path) -> None:
    """``reference`` and ``scripts`` would be modules of other people's environments."""
    held = set(zipfile.ZipFile(wheel).namelist())
    dist_info = f"esml-{esml.__version__}.dist-info"
    assert {name.split("/")[0] for name in held} == {"esml", dist_info}
    # All that prediction needs is in it: every module, and the data beside them.
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "esml").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in held if name.startswith("esml/")} == source


def test_an_installed_wheel_gives_a_spectrum_elsewhere(wheel: Path, tmp_path: Path) -> None:
    """Installed beside this environment's packages, run outside the repository."""
    home = tmp_path / "installed"
    install = [*PIP, "install", "--no-deps", "--target", str(home), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    shutil.copy(ROOT / "examples" / "benzene.xyz", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "esml", "spectrum", "benzene.xyz", "--n-states", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "S1" in done.stdout
    where = [sys.executable, "-c", "import esml; print(esml.__file__)"]
    found = subprocess.run(
        where,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(home)


def test_the_conda_recipe_asks_for_what_the_wheel_does() -> None:
    text = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    recipe = yaml.safe_load(re.sub(r"\{[{%].*?[%}]\}", "x", text).replace("\nx\n", "\n"))
    named = {"pytorch": "torch"}
    asked = {
        (named.get(name, name), bound)
        for name, bound in (entry.split() for entry in recipe["requirements"]["run"])
    }
    wanted = {re.findall(r"^([\w-]+)(.*)", r)[0] for r in PROJECT["dependencies"]}
    assert asked == wanted | {("python", PROJECT["requires-python"])}
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["home"] == PROJECT["urls"]["Repository"]


@pytest.mark.parametrize("module", ["reference", "scripts.accuracy.peers"])
def test_what_the_wheel_lacks_runs_in_a_clone(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_licence_is_as_declared() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "BSD-3-Clause"
    assert text.startswith("BSD 3-Clause License")
    assert "The esml developers" in text


def test_ci_runs_on_the_declared_versions_of_python() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    declared = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == declared
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


FORMS = [p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.stem != "config"]


@pytest.mark.parametrize("path", FORMS, ids=[path.stem for path in FORMS])
def test_issue_forms_ask_what_they_need(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field.get("validations", {}).get("required") for field in asked)
    assert len({field["id"] for field in asked}) == len(asked)


def test_the_citation_is_of_this_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["title"].startswith("esml")
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]


PAGES = [
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / folder / "README.md" for folder in ("data", "examples")),
]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_names_only_files_and_objects_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    folders = "esml|scripts|tests|reference|examples|configs|data|docs|requirements"
    for path in set(re.findall(rf"\b(?:{folders})/[\w./-]*\w", text)):
        assert (ROOT / path).exists(), f"{path} does not exist"
    for name in set(re.findall(r"(?<![\w.-])(?:esml|scripts|reference)(?:\.[A-Za-z_]\w*)+", text)):
        module, *attributes = name.split(".")
        found: Any = import_module(module)
        for attribute in attributes:
            if not hasattr(found, attribute):
                assert find_spec(f"{found.__name__}.{attribute}"), f"{name} does not exist"
                import_module(f"{found.__name__}.{attribute}")
            found = getattr(found, attribute)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


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
                options = {
                    o for p in commands[words[1]].whole().params for o in (*p.opts, "--help")
                }
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
