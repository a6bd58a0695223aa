"""Imports point down only, and prediction needs none of the optional packages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Low to high: a room may import those before it.
ORDER = (
    "units",
    "typing",
    "physics",
    "jobs",
    "io",
    "model",
    "confidence",
    "analysis",
    "results",
    "plots",
    "export",
    "predict",
    "training",
    "interfaces",
    "dynamics",
    "__init__",
    "serve",
    "commands",
    "__main__",
)

REFERENCE_MAY_IMPORT = {
    "esml.units",
    "esml.typing",
    "esml.physics.basis",
    "esml.physics.crystals.bands",
    "esml.physics.crystals.bloch",
    "esml.physics.crystals.filling",
    "esml.physics.crystals.shells",
    "esml.io.records",
    "esml.io.files",
    "esml.io.provenance",
    "esml.jobs",
}

NEVER = {"reference"}
"""What nothing in esml imports."""

ONLY_INSIDE_FUNCTIONS = {
    "rdkit",
    "tblite",
    "cclib",
    "matplotlib",
    "pyscf",
    "dask",
    "distributed",
    "skimage",
    "chemiscope",
    "pyarrow",
    "pandas",
    "fastapi",
    "starlette",
    "uvicorn",
    "mcp",
}
"""What esml imports where it is used, because a user may lack it."""

ONLY_USERS = {
    "rdkit": {
        "esml.analysis.group_names",
        "esml.io.formats.rdkit_files",
        "esml.io.formats.smiles_lists",
        "esml.io.geometry.__main__",
        "esml.io.geometry.building",
        "esml.io.geometry.embedding",
        "esml.io.measured.dye_families",
        "esml.io.surroundings.solvent_names",
        "esml.plots.page_drawing",
    },
    "tblite": {"esml.io.geometry.relaxation"},
    "cclib": {"esml.io.formats.programs.outputs"},
    "pyscf": {"esml.interfaces.pyscf"},
    "dask": {"esml.jobs.dask_workers", "esml.predict.cluster"},
    "distributed": {"esml.jobs.dask_workers", "esml.predict.cluster"},
    "fastapi": {"esml.serve.app"},
    "starlette": {"esml.serve.app"},
    "uvicorn": {"esml.commands.serve"},
    "mcp": {"esml.serve.tools"},
}
"""The modules that may import these at all."""


def modules(package: str) -> list[tuple[str, Path]]:
    """Dotted name and file of every module of a package."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append((".".join(parts), path))
    return found


def imports(path: Path, name: str) -> Iterator[tuple[str, bool]]:
    """Absolute names a file imports, and whether it does so when it is itself imported.

    ``from package import x`` yields ``package.x`` where that is a module, else ``package``.
    """
    package = name.rpartition(".")[0]  # also for a package, whose own name ends in __init__

    def walk(node: ast.AST, at_import: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            at_import = False
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            at_import = False
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]) if base else ".".join(above)
            for alias in node.names:
                inner = ROOT / base.replace(".", "/") / alias.name
                is_module = inner.with_suffix(".py").is_file() or inner.is_dir()
                yield (f"{base}.{alias.name}" if is_module else base, at_import)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_import)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), True)


def room(name: str) -> str:
    """The room of esml that a dotted name belongs to: ``esml.a.b`` → ``a``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


ESML = modules("esml")
REFERENCE = modules("reference")


def test_every_module_has_its_room() -> None:
    assert {room(name) for name, _ in ESML} == set(ORDER)


@pytest.mark.parametrize(
    "door",
    [
        "analysis",
        "confidence",
        "dynamics",
        "export",
        "interfaces",
        "io",
        "jobs",
        "model",
        "physics",
        "physics/solvers",
        "plots",
        "predict",
        "results",
        "serve",
        "training",
    ],
)
def test_the_door_lists_what_is_behind_it(door: str) -> None:
    """One line for each module."""
    folder = ROOT / "esml" / door
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text is not None
    listed = re.findall(r"^ *([a-z0-9_]+(?:, [a-z0-9_]+)*)  +\S", text, re.MULTILINE)
    there = {path.stem for path in folder.glob("[!_]*.py")}
    there |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert {name for names in listed for name in names.split(", ")} == there


def test_the_floor_plan_is_drawn_as_it_is_built() -> None:
    """The picture in CONTRIBUTING has every room, in the order of imports, from the top down."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^ +(\w+) │", text, flags=re.MULTILINE)
    assert drawn == [name for name in reversed(ORDER) if not name.startswith("__")]


LONGEST = 400
"""Lines of a file; a longer one says at its top why."""

WRITTEN = [
    path
    for folder in ("esml", "reference", "scripts", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".js", ".css", ".html")
    and "-min" not in path.name
    and path.name != "openchemlib.js"  # a packaged library
]


def test_a_long_file_says_why() -> None:
    unexplained = [
        str(path.relative_to(ROOT))
        for path in WRITTEN
        if (text := path.read_text(encoding="utf-8")).count("\n") > LONGEST
        and "Over 400 lines: " not in text[:1000]
    ]
    assert unexplained == []


def test_few_modules_lie_outside_the_rooms() -> None:
    assert len(list((ROOT / "esml").glob("*.py"))) <= 10


@pytest.mark.parametrize(("name", "path"), ESML, ids=[name for name, _ in ESML])
def test_esml_imports_point_down(name: str, path: Path) -> None:
    here = room(name)
    for imported, _ in imports(path, name):
        if imported.split(".")[0] != "esml" or room(imported) == here:
            continue
        there = room(imported)
        assert ORDER.index(there) < ORDER.index(here), f"{name} imports {imported} from above"


@pytest.mark.parametrize(("name", "path"), ESML, ids=[name for name, _ in ESML])
def test_esml_needs_nothing_optional(name: str, path: Path) -> None:
    for imported, at_import in imports(path, name):
        top = imported.split(".")[0]
        assert top not in NEVER, f"{name} imports {imported}"
        if top in ONLY_INSIDE_FUNCTIONS:
            assert not at_import, f"{name} imports {imported} outside a function"
        if top in ONLY_USERS:
            assert name in ONLY_USERS[top], f"{name} imports {imported}"


@pytest.mark.parametrize(("name", "path"), REFERENCE, ids=[name for name, _ in REFERENCE])
def test_reference_imports_little_of_esml(name: str, path: Path) -> None:
    for imported, _ in imports(path, name):
        if imported.split(".")[0] == "esml":
            assert imported in REFERENCE_MAY_IMPORT, f"{name} imports {imported}"


Edges = dict[str, set[str]]
"""What each node imports."""


@cache
def import_edges(package: str) -> Edges:
    """Modules of a package that each of its modules imports, inside functions too."""
    known = dict(modules(package))
    aliases = {name.removesuffix(".__init__"): name for name in known}

    def below(name: str) -> set[str]:
        targets = {aliases.get(i) for i, _ in imports(known[name], name)}
        return {t for t in targets if t is not None and t != name}

    return {name: below(name) for name in known}


def assert_no_cycles(edges: Edges) -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in sorted(edges.get(name, ())):
                visit(target, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())


@pytest.mark.parametrize("package", ["esml", "reference"])
def test_no_import_cycles(package: str) -> None:
    assert_no_cycles(import_edges(package))


NESTED = [
    name.removesuffix(".__init__")
    for name, _ in (*ESML, *REFERENCE)
    if name.endswith(".__init__")
    # reference.generate computes records of crystals too, and the commands of reference.crystals
    # call it: it would have to be told of crystals by its callers.
    and name != "reference.__init__"
]
"""Packages at every depth."""


@pytest.mark.parametrize("package", NESTED)
def test_no_import_cycles_between_parts_of_a_package(package: str) -> None:
    """A package inside another one is a single node: what it imports does not import from it."""
    depth = package.count(".") + 2
    edges: Edges = {}
    for name, targets in import_edges(package.partition(".")[0]).items():
        inside = {t for t in targets if t.startswith(f"{package}.")}
        if name.startswith(f"{package}."):
            part = ".".join(name.split(".")[:depth])
            others = {".".join(t.split(".")[:depth]) for t in inside} - {part}
            edges.setdefault(part, set()).update(others)
    assert_no_cycles(edges)


def overwritten_constants(source: str) -> list[str]:
    """Constants (ALL_CAPS) of modules that a file overwrites, as ``esml.module.NAME``.

    By ``setattr`` or ``patch`` of a module or of a dotted name, or by an assignment.
    """
    tree = ast.parse(source)
    homes: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                homes[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    homes[alias.asname] = alias.name

    def dotted(node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        root, dot, rest = ast.unparse(node).partition(".")
        return homes.get(root, root) + dot + rest

    changes = re.compile(r"\b(setattr|patch|patch\.object)$")
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and changes.search(ast.unparse(node.func)):
            first, *others = node.args
            found.append(dotted(first) if isinstance(first, ast.Constant) else "")
            if others and isinstance(others[0], ast.Constant):
                found.append(f"{dotted(first)}.{dotted(others[0])}")
        elif isinstance(node, ast.Assign):
            found += [dotted(each) for each in node.targets if isinstance(each, ast.Attribute)]
    return [
        name for name in found if re.fullmatch(r"(esml|reference)(\.\w+)+\.[A-Z][A-Z0-9_]+", name)
    ]


FOLDERS = "tests", "scripts", "examples"
CALLERS = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", CALLERS, ids=[str(p.relative_to(ROOT)) for p in CALLERS])
def test_no_test_or_script_overwrites_a_constant(path: Path) -> None:
    """What they vary is an argument, or a field of an object that is passed in."""
    assert overwritten_constants(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr("esml.io.records.MOST_BYTES", 1)',
        'monkeypatch.setattr(records, "MOST_BYTES", 1)',
        'monkeypatch.setattr(esml.io.records, "MOST_BYTES", 1)',
        "records.MOST_BYTES = 1",
    ],
)
def test_an_overwritten_constant_is_found(line: str) -> None:
    source = f"import esml.io.records\nfrom esml.io import records\n{line}\n"
    assert overwritten_constants(source) == ["esml.io.records.MOST_BYTES"]
    assert overwritten_constants(source.replace("MOST_BYTES", "read_shard")) == []
    assert (
        overwritten_constants("from esml.io import records\ngetattr(records, 'MOST_BYTES')") == []
    )


BARE = """
import sys

BLOCKED = {
    "pyscf", "rdkit", "tblite", "cclib", "matplotlib", "reference", "dask", "distributed",
    "skimage", "chemiscope", "pyarrow", "pandas",
    "fastapi", "starlette", "uvicorn", "mcp",
}

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())

import esml
from ase.build import molecule

result = esml.load_model().predict(molecule("H2CO"), n_states=3)
assert len(result.singlets.energies) == 3
assert len(result.spectrum().energies) > 10
assert result.characters()[0].label == "nπ*"
"""


def test_prediction_needs_no_optional_package() -> None:
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
