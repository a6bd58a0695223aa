"""The API pages say what every field of a class is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("griffe")

import griffe

from esml.results import Failure, Result, States
from scripts.pictures.field_comments import argument, comment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package() -> griffe.Module:
    """All of esml as the documentation reads it."""
    extensions = griffe.load_extensions(str(ROOT / "scripts" / "pictures" / "field_comments.py"))
    found = griffe.load("esml", extensions=extensions, search_paths=[str(ROOT)])
    assert isinstance(found, griffe.Module)
    return found


def described(package: griffe.Module, name: str) -> dict[str, str]:
    """Texts of the fields of a class: their own, or those of the parameters that set them."""
    found = package[name.removeprefix("esml.")]
    parameters = {
        each.name: each.description
        for section in (found.docstring.parse("numpy") if found.docstring else ())
        if section.kind is griffe.DocstringSectionKind.parameters
        for each in section.value
    }
    return parameters | {
        key: attribute.docstring.value
        for key, attribute in found.attributes.items()
        if attribute.docstring is not None
    }


def objects(package: griffe.Module) -> Iterator[tuple[griffe.Object, list[str]]]:
    """What the API pages name, and the members that they pick of a module."""
    named = r"^::: esml\.(\S+)\n(?:    options:\n      members: \[(.*)\])?"
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        for name, members in re.findall(named, page.read_text(), re.M):
            found = package[name]
            yield found.final_target if found.is_alias else found, re.findall(r"\w+", members)


def classes(package: griffe.Module) -> Iterator[griffe.Class]:
    """The classes of the API pages."""
    for found, _ in objects(package):
        members = found.members.values() if found.is_module else [found]
        own = (each for each in members if isinstance(each, griffe.Class))
        yield from (each for each in own if not each.name.startswith("_"))


def functions(package: griffe.Module) -> Iterator[griffe.Function]:
    """The functions of the API pages."""
    for found, members in objects(package):
        of_module = [found.members[name] for name in members] if found.is_module else [found]
        yield from (each for each in of_module if isinstance(each, griffe.Function))


@pytest.mark.parametrize(
    ("kind", "home"), [(Result, "result"), (Failure, "result"), (States, "states")]
)
def test_every_field_of_a_result_is_described(
    package: griffe.Module, kind: type, home: str
) -> None:
    said = described(package, f"esml.results.{home}.{kind.__name__}")
    for field in fields(kind):
        assert said.get(field.name, "").endswith("."), field.name


def test_every_public_field_is_described(package: griffe.Module) -> None:
    silent, seen = [], 0
    for found in classes(package):
        said = described(package, found.path)
        for name, field in found.attributes.items():
            own = not field.lines[0].lstrip().startswith("self.")
            if own and not name.startswith("_") and name != "model_config":
                seen += 1
                if not said.get(name, "").strip():
                    silent.append(field.path)
    assert silent == []
    assert seen > 300


def test_public_functions_have_numpy_sections(package: griffe.Module) -> None:
    """One that takes several arguments names each in a section of parameters."""
    silent, seen = [], 0
    for function in functions(package):
        taken = {each.name.lstrip("*") for each in function.parameters}
        if len(taken) < 2:
            continue
        seen += 1
        text = function.docstring.value if function.docstring else ""
        section = re.search(r"^Parameters\n-+\n(.*?)(\n\n|\Z)", text, re.M | re.S)
        said = re.findall(r"^\S.*?(?=:?$)", section[1], re.M) if section else []
        if taken - {name.strip("* ") for line in said for name in line.split(",")}:
            silent.append(function.path)
    assert silent == []
    assert seen > 60


def test_public_methods_name_their_arguments(package: griffe.Module) -> None:
    """Each of several arguments, in a section of parameters or in a sentence."""
    silent, seen = [], 0
    for found in classes(package):
        for method in found.functions.values():
            taken = {each.name.lstrip("*") for each in method.parameters} - {"self", "cls"}
            if method.name.startswith("_") or len(taken) < 2:
                continue
            seen += 1
            text = method.docstring.value if method.docstring else ""
            if not all(re.search(rf"\b{re.escape(name)}\b", text) for name in taken):
                silent.append(method.path)
    assert silent == []
    assert seen > 60


def test_a_comment_describes_a_field(package: griffe.Module) -> None:
    said = described(package, "esml.analysis.bonding.Bonding")
    assert said["orders"] == "(N, N) Wiberg indices, zero on the diagonal."
    assert comment(["x: int = 0"]) == ""
    assert comment(["    x: int = 0  # whether so"]) == "Whether so."


def test_an_argument_describes_a_field() -> None:
    lines = ["    x: Array = array_field(", '        "f4", 1, "forces, eV/Å", step=1e-3', "    )"]
    assert argument(lines) == "Forces, eV/Å."
    assert argument(['x: float = Field(1.0, ge=0, description="share")']) == "Share."
    assert argument(['x: str = Field("no text")']) == ""
    assert argument(["x: int = 0"]) == ""
