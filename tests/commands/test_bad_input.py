"""Bad input: one sentence that names what was wrong, what was expected and how to fix it.

Files, structures, options and configurations, each as a row of a table. Whatever is wrong ends with
its exit code and no traceback, and in a batch the rest goes on.

Over 400 lines: the table has a row for each way an input can be wrong.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from test_cli import refusal, run

import esml
from esml.analysis.spectrum import broaden
from esml.export import read_results
from esml.predict.batching import Batching
from esml.predict.surrogate import Surrogate

DATA = Path(__file__).parents[1] / "data" / "tiny.h5"

EXPECTED = re.compile(r"expected|should be|must be|it knows|the index runs|needs|leave one out")
"""One of these says what would have been right."""

MEND = re.compile(
    r"; |check the|add --|write it|\bfix\b|mend|choose|restore|set |remove|look for|move the"
    r"|call |rename|leave one|pip install|the index runs"
)
"""One of these says what to do."""


def assert_helpful(sentence: str, words: str) -> None:
    """``words`` are in ``sentence``, which also says what was expected and how to fix it."""
    assert words in sentence
    assert EXPECTED.search(sentence), sentence
    assert MEND.search(sentence), sentence
    assert "\n" not in sentence.strip()
    assert len(sentence) < 1200


GOOD = "4\n\nO 0 0 0.68\nC 0 0 -0.54\nH 0 0.94 -1.13\nH 0 -0.94 -1.13\n"

ONE = "1\n\nH 0 0 0\n"

FILES: dict[str, tuple[str, str | bytes, str]] = {
    # name of the file, content, words of the refusal
    "empty": ("a.xyz", "", "is empty"),
    "blank": ("a.xyz", "\n\n  \n", "holds no structure"),
    "cut in an atom": ("a.xyz", GOOD[:30], "cannot read"),
    "cut between atoms": ("a.xyz", GOOD[:40], "Frame has"),
    "cut after the count": ("a.xyz", "4\n", "cannot read"),
    "random bytes": ("a.xyz", np.random.default_rng(0).bytes(500), "is not text"),
    "all bytes": ("a.xyz", bytes(range(256)), "is not text"),
    "UTF-16 without its mark": ("a.xyz", GOOD.encode("utf-16-le"), "is not text"),
    "xyz called cif": ("a.cif", GOOD, "cannot read"),
    "text called mol": ("a.mol", "nothing\n", "cannot read"),
    "text called sdf": ("a.sdf", "\n\n\n", "holds no structure"),
    "text called pdb": ("a.pdb", "nothing\n", "holds no structure"),
    "text called cube": ("a.cube", "x", "cannot read"),
    "text called traj": ("a.traj", "x" * 100, "cannot read"),
    "object called json": ("a.json", "{}", "a.json"),
    "half of a JSON": ("a.json", "[1, 2", "cannot read"),
    "broken database": ("a.db", b"SQLite format 3\0" + bytes(100), "cannot read"),
    "picture": ("a.png", b"\x89PNG\r\n\x1a\n", "cannot read"),
    "unknown suffix": ("a.foo", "nothing known\n", "ASE does not know the format"),
    "not compressed": ("a.xyz.gz", "no gzip", "cannot read"),
    "no count": ("a.xyz", "x\n\nH 0 0 0\n", "cannot read"),
    "negative count": ("a.xyz", "-1\n\nH 0 0 0\n", "declares -1 atoms"),
    "a count of 10¹²": ("a.xyz", f"{10**12}\n\nH 0 0 0\n", f"declares {10**12} atoms"),
    "such a count behind a structure": ("a.xyz", GOOD + f"{10**12}\n\nH 0 0 0\n", "declares"),
    "such a count, compressed": (
        "a.xyz.gz",
        gzip.compress(f"{10**12}\n\nH 0 0 0\n".encode()),
        f"declares {10**12} atoms",
    ),
    "such a count without a suffix": ("geometry", f"{10**12}\n\nH 0 0 0\n", "declares"),
    "10¹⁰ columns": (
        "a.xyz",
        f"1\nProperties=species:S:1:pos:R:{10**10}\nH 0 0 0\n",
        "columns in a structure",
    ),
    "unknown properties": ("a.xyz", "1\nProperties=foo\nH 0 0 0\n", "no atoms"),
    "unknown element": ("a.xyz", "1\n\nQq 0 0 0\n", "'Qq' is not an element"),
    "number for an element": ("a.xyz", "1\n\n300 0 0 0\n", "'300' is not an element"),
    "two coordinates": ("a.xyz", "1\n\nH 0 0\n", "cannot read"),
    "words for coordinates": ("a.xyz", "1\n\nH a b c\n", "could not convert"),
    "no atoms": ("a.xyz", "0\n\n", "no atoms"),
    "one atom": ("a.xyz", ONE, "odd number"),
    "coordinates of 10³⁰ Å": ("a.xyz", "2\n\nH 0 0 0\nH 0 0 1e30\n", "1000 Å from the origin"),
    "coordinates of 10³⁰⁸ Å": ("a.xyz", "2\n\nH 0 0 0\nH 0 0 1e308\n", "1000 Å from the origin"),
    "infinite coordinates": ("a.xyz", "2\n\nH 0 0 0\nH 0 0 1e999\n", "finite coordinates"),
    "coordinates that are no numbers": ("a.xyz", "2\n\nH 0 0 0\nH 0 0 nan\n", "finite"),
    "a name in other letters": ("π*→ø 分子.xyz", ONE, "odd number"),
    "a name like markup": ("[red]x[bold].xyz", "", "[red]x[bold].xyz"),
    "a name like an option": ("--n-states.xyz", "", "--n-states.xyz"),
    "an empty list of SMILES": ("a.smi", "\n\n", "expected a SMILES on every line"),
    "a binary list of SMILES": ("a.smi", b"\xff\xfe\x00", "is not text"),
    "a line of a megabyte": ("a.xyz", "1\n" + "x" * 10**6 + "\nH 0 0 0\n", "odd number"),
    "a periodic cell": ("a.xyz", f'1\nLattice="{"5 0 0 0 5 0 0 0 5"}"\nH 0 0 0\n', "periodic"),
}


def made(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_named(tmp_path: Path, case: str) -> None:
    name, content, words = FILES[case]
    path = made(tmp_path, name, content)
    sentence = refusal(run("spectrum", path, "--n-states", "1"))
    assert_helpful(sentence, words)


def test_the_rest_of_a_batch_of_bad_files_goes_on(tmp_path: Path) -> None:
    """Every file of the table in one command, one good structure in front of, two behind them."""
    paths = []
    for place, (name, content, _) in enumerate(FILES.values()):
        folder = tmp_path / str(place)
        folder.mkdir()
        paths.append(made(folder, name, content))
    good = made(tmp_path, "good.xyz", GOOD)
    last = made(tmp_path, "last.xyz", 2 * GOOD)
    out = tmp_path / "out.h5"
    result = run("predict", good, *paths, last, "-o", out, "--n-states", "1")
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    stored = read_results(out)
    read_from = [Path(r.source) for r in stored]
    assert read_from[0] == good
    assert read_from[-2:] == [last, last]
    # A structure before the harm may still have been read.
    assert len(read_from) <= 4
    assert sorted({f.source for f in stored.failures}) == sorted(map(str, paths))
    for failure in stored.failures:
        assert_helpful(failure.reason, "")


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "link to itself", "device"])
def test_what_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.xyz"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    words = {"missing": "no file", "directory": "is a directory", "link to itself": "reached"}
    sentence = refusal(run("spectrum", path))
    assert_helpful(sentence, words.get(kind, "is not a regular file"))
    good = made(tmp_path, "good.xyz", GOOD)
    result = run("predict", path, good, "-o", tmp_path / "out.csv", "--n-states", "1")
    assert result.exit_code == 1
    assert "1 predicted, 1 failed" in result.stdout


@contextmanager
def as_nobody() -> Iterator[None]:
    """As a user who may do nothing in particular: root may do everything."""
    root = os.geteuid() == 0
    if root:
        os.setegid(65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
            os.setegid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that everyone may look into, as those of pytest are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_missing_permissions_are_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir()
    inside = made(closed, "a.xyz", GOOD)
    unreadable = made(folder, "a.xyz", GOOD)
    unreadable.chmod(0)
    good = made(folder, "good.xyz", GOOD)
    folder.chmod(0o555)
    # Whatever the commands import as they go is not nobody's to read.
    for suffix in ("csv", "h5"):
        assert run("predict", good, "-o", closed / f"warm.{suffix}").exit_code == 0
    assert run("spectrum", good, "--n-states", "1", "--csv", closed / "warm.csv").exit_code == 0
    closed.chmod(0)
    try:
        for arguments, words in (
            (("spectrum", unreadable), "not permitted"),
            (("spectrum", inside), "cannot be reached (Permission denied)"),
            (("predict", good, "-o", folder / "out.csv"), "Permission"),
            (("predict", good, "-o", folder / "out.h5"), "Permission"),
            (("spectrum", good, "--n-states", "1", "--csv", folder / "a.csv"), "Permission"),
        ):
            with as_nobody():
                result = run(*arguments)
            assert_helpful(refusal(result), words)
    finally:
        closed.chmod(0o755)
        folder.chmod(0o755)


def test_a_file_of_many_structures_is_gone_through(tmp_path: Path) -> None:
    """Three thousand, of which one in a hundred can be predicted; ``-m slow`` for more."""
    many(tmp_path, 3_000)


@pytest.mark.slow
def test_a_file_of_a_hundred_thousand_structures_is_gone_through(tmp_path: Path) -> None:
    many(tmp_path, 100_000)


def many(folder: Path, n: int) -> None:
    path = folder / "many.xyz"
    hundred = 99 * ONE + "2\n\nH 0 0 0\nH 0 0 0.74\n"
    path.write_text(hundred * (n // 100))
    result = run("predict", path, "-o", folder / "out.h5", "--n-states", "1")
    assert result.exit_code == 1, result.output
    assert f"{n // 100} predicted, {n - n // 100} failed" in result.stdout
    stored = read_results(folder / "out.h5")
    assert [r.index for r in stored] == list(range(99, n, 100))
    assert len(result.stderr) < 10_000


def formaldehyde(**info: Any) -> Atoms:
    atoms: Atoms = molecule("H2CO")
    atoms.info.update(info)
    return atoms


def pair(symbols: str, distance: float, **settings: Any) -> Atoms:
    return Atoms(symbols, [[0, 0, 0], [0, 0, distance]], **settings)


STRUCTURES: dict[str, tuple[Callable[[], Atoms], str]] = {
    "no atoms": (Atoms, "no atoms"),
    "a hydrogen atom": (lambda: Atoms("H"), "odd number"),
    "a carbon atom": (lambda: Atoms("C"), "unstable"),
    "an unsupported element": (lambda: Atoms("He"), "it knows H B C N O F Si P S Cl Se Br I"),
    "a metal": (lambda: pair("ZnO", 1.7), "it knows H B C N O F Si P S Cl Se Br I"),
    "no element": (lambda: pair("XH", 1.0), "it knows H B C N O F Si P S Cl Se Br I"),
    "atoms upon each other": (lambda: pair("HH", 0.0), "0.000 Å apart"),
    "overlapping atoms": (lambda: pair("HH", 0.1), "at least 0.3 Å"),
    "every atom twice": (lambda: formaldehyde() + formaldehyde(), "doubled atom"),
    "coordinates in bohr of a far box": (lambda: pair("HH", 1e6), "1000 Å from the origin"),
    "a bond torn": (lambda: pair("HH", 5.0), "unstable"),
    "a crystal": (lambda: pair("HH", 0.74, cell=[5, 5, 5], pbc=True), "periodic"),
    "a metal's crystal": (lambda: bulk("Cu"), "esml.load_model('solids') if it is a crystal"),
    "a wire": (lambda: pair("HH", 0.74, cell=[5, 5, 5], pbc=[True, False, False]), "periodic"),
    "a radical": (lambda: molecule("CH3"), "odd number"),
    "a cation": (lambda: formaldehyde(charge=1), "odd number"),
    "more charge than electrons": (lambda: formaldehyde(charge=100), "1 to 20 are expected"),
    "more electrons than orbitals": (lambda: formaldehyde(charge=-100), "1 to 20 are expected"),
    "half a charge": (lambda: formaldehyde(charge=0.5), "whole number"),
    "a charge that is no number": (lambda: formaldehyde(charge=float("nan")), "whole number"),
    "an infinite charge": (lambda: formaldehyde(charge=float("inf")), "whole number"),
    "a word for a charge": (lambda: formaldehyde(charge="neutral"), "where a number is expected"),
    "two charges": (lambda: formaldehyde(charge=[0, 0]), "where a number is expected"),
    "a triplet by its spin": (lambda: formaldehyde(spin=2), "closed shell"),
    "a triplet by its multiplicity": (lambda: formaldehyde(multiplicity=3), "closed shell"),
    "a triplet by its moments": (lambda: molecule("O2"), "closed shell"),
    "coordinates that are no numbers": (lambda: pair("HH", float("nan")), "finite"),
}


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


@pytest.mark.parametrize("case", STRUCTURES)
def test_a_bad_structure_is_refused(model: Surrogate, case: str) -> None:
    make, words = STRUCTURES[case]
    with pytest.raises((esml.StructureError, esml.InstabilityError)) as caught:
        model.predict(make(), 2)
    assert_helpful(str(caught.value), words)


def test_the_rest_of_a_batch_of_bad_structures_goes_on(model: Surrogate) -> None:
    bad = [make() for make, _ in STRUCTURES.values()]
    good = formaldehyde()
    found = list(model.predict_many([good, *bad, good], 2, errors="return"))
    assert len(found) == len(bad) + 2
    for failure, (_, words) in zip(found[1:-1], STRUCTURES.values(), strict=True):
        assert isinstance(failure, esml.Failure)
        assert_helpful(failure.reason, words)
    for result in (found[0], found[-1]):
        assert isinstance(result, esml.Result)
        np.testing.assert_allclose(
            result.singlets.energies, model.predict(good, 2).singlets.energies, atol=1e-4
        )


def test_five_thousand_atoms_are_refused_where_memory_cannot_do(model: Surrogate) -> None:
    """Water, molecules 6 Å apart; else the system would end the process, or another one."""
    water = molecule("H2O")
    cells = np.stack(np.meshgrid(*[np.arange(12)] * 3), -1).reshape(-1, 3)[:1667]
    positions = (6.0 * cells[:, None] + water.positions).reshape(-1, 3)
    many = Atoms(np.tile(water.numbers, 1667), positions)
    model = model.with_batching(Batching(memory=64 * 2**30))
    failure, result = model.predict_many([many, water], 1, errors="return")
    assert isinstance(failure, esml.Failure)
    assert_helpful(failure.reason, "5001 atoms need about 121 GiB of memory")
    assert isinstance(result, esml.Result)


OPTIONS: dict[str, tuple[Sequence[str], str]] = {
    "no states": (["--n-states", "0"], "--n-states is 0"),
    "fewer states": (["--n-states", "-3"], "--n-states is -3"),
    "half a state": (["--n-states", "1.5"], "'--n-states'"),
    "a word of states": (["--n-states", "many"], "'--n-states'"),
    "no width": (["--fwhm", "0"], "--fwhm is 0"),
    "a negative width": (["--fwhm", "-1"], "--fwhm is -1"),
    "a width that is no number": (["--fwhm", "nan"], "--fwhm is nan"),
    "an infinite width": (["--fwhm", "inf"], "--fwhm is inf"),
    "a width of 10⁻¹² eV": (["--fwhm", "1e-12"], "expected a width of 0.001 to 100 eV"),
    "an unknown model": (["--model", "nope"], "no model 'nope'"),
    "no model": (["--model", ""], "no model ''"),
    "a folder for a model": (["--model", "."], "no model '.'"),
    "a geometry for a model": (["--model", "good.xyz"], "could not be read"),
    "an empty model": (["--model", "empty"], "could not be read"),
    "a structure there is not": (["--index", "1"], "no structure 1"),
    "another": (["--index", "-2"], "no structure -2"),
    "a word for an index": (["--index", "first"], "'--index'"),
    "an odd charge": (["--charge", "1"], "--charge"),
    "a charge of 10²³": (["--charge", str(10**23)], "--charge"),
    "a word for a charge": (["--charge", "plus"], "'--charge'"),
    "a picture of no kind": (["--plot", "a.doc"], "expected one of .png"),
    "a picture nowhere": (["--plot", "no/a.png"], "make it"),
    "a curve for a folder": (["--csv", "."], "is a directory"),
    "a curve where nothing may be": (["--csv", "/proc/a.csv"], "'/proc/a.csv'"),
    "a curve where no room is": (["--csv", "/dev/full"], "No space left"),
    "a page that is none": (["--report", "a.txt"], "expected .html"),
    "cubes into a file": (["--cubes", "good.xyz"], "is a file"),
    "a comparison that is none": (["--compare", "good.xyz"], "is not JSON"),
    "a comparison there is not": (["--compare", "no.json"], "cannot read 'no.json'"),
    "a comparison without levels": (["--compare", "incomplete.json"], "singlets"),
    "a comparison too deep": (["--compare", "deep.json"], "is not JSON"),
    "an average of one index": (["--average", "--index", "0"], "leave one out"),
    "an unknown option": (["--no-such"], "No such option"),
    "an option without its value": (["--fwhm"], "requires an argument"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made(tmp_path, "good.xyz", GOOD)
    made(tmp_path, "empty", "")
    made(tmp_path, "incomplete.json", '{"level": "x"}')
    made(tmp_path, "deep.json", "[" * 100_000)
    return tmp_path


@pytest.mark.parametrize("case", OPTIONS)
def test_a_bad_option_of_spectrum_is_named(here: Path, case: str) -> None:
    options, words = OPTIONS[case]
    assert_helpful(refusal(run("spectrum", "good.xyz", *options)), words)


COMMANDS: dict[str, tuple[Sequence[str], str]] = {
    "an unknown command": (["no-such"], "No such command"),
    "nothing to draw": (["spectrum"], "Missing argument"),
    "nothing to predict": (["predict", "-o", "out.h5"], "Missing argument"),
    "nowhere to predict to": (["predict", "good.xyz"], "Missing option"),
    "an unknown end": (["predict", "good.xyz", "-o", "out.doc"], "no known format"),
    "an unknown format": (["predict", "good.xyz", "-o", "out", "--format", "x"], "no format 'x'"),
    "over a folder": (["predict", "good.xyz", "-o", "."], "is a directory"),
    "into no folder": (["predict", "good.xyz", "-o", "no/out.h5"], "make it"),
    "over its input": (["predict", "good.xyz", "-o", "good.xyz"], "one of the input files"),
    "over a device": (
        ["predict", "good.xyz", "-o", "/dev/full", "--format", "csv"],
        "is not a regular file",
    ),
    "where nothing may be": (["predict", "good.xyz", "-o", "/proc/out.h5"], "/proc/"),
    "text where nothing may be": (["predict", "good.xyz", "-o", "/proc/out.csv"], "/proc/"),
    "no states": (["predict", "good.xyz", "-o", "out.h5", "--n-states", "0"], "--n-states is 0"),
    "an unknown model": (["predict", "good.xyz", "-o", "out.h5", "--model", "x"], "no model"),
    "no cluster": (["predict", "good.xyz", "-o", "out.h5", "--dask", "nowhere"], "no Dask"),
    "no data": (["evaluate", "default", "no.h5"], "no dataset"),
    "a folder without data": (["evaluate", "default", "."], "holds no dataset"),
    "data that are none": (["evaluate", "default", "good.xyz"], "could not be read as"),
    "an unknown split": (["evaluate", "default", str(DATA), "--split", "x"], "split 'x'"),
    "no such model": (["info", "no-such"], "no model"),
    "a model that is none": (["info", "good.xyz"], "could not be read"),
    "no configuration": (["train", "no.yaml"], "no file"),
    "a folder for one": (["train", "."], "no file"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_bad_command_is_refused(here: Path, case: str) -> None:
    arguments, words = COMMANDS[case]
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    *progress, sentence = result.stderr.splitlines()
    assert all(line.startswith("predicting molecules") for line in progress)
    assert_helpful(sentence, words)
    assert not [path for path in here.glob("out*") if path.suffix != ".part"]
    assert (here / "good.xyz").read_text() == GOOD


def test_bad_arguments_of_the_library_are_refused(model: Surrogate) -> None:
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: esml.load_model(device="nowhere"), "device 'nowhere'"),
        (lambda: model.predict(formaldehyde(), n_states=0), "n_states is 0"),
        (lambda: model.predict(formaldehyde(), n_states=2.5), "n_states is 2.5"),  # type: ignore[arg-type]
        (lambda: model.predict(formaldehyde(), n_triplets=-1), "n_triplets is -1"),
        (lambda: model.predict(formaldehyde(), energy_window=-1.0), "energy_window is -1.0"),
        (lambda: model.predict(formaldehyde(), energy_window=float("nan")), "energy_window is nan"),
        (lambda: broaden([3.0], [1.0], fwhm=0.0), "fwhm is 0"),
    ]
    if not torch.cuda.is_available():
        calls.append((lambda: esml.load_model(device="cuda"), "device 'cuda'"))
    for call, words in calls:
        with pytest.raises(ValueError, match=re.escape(words)) as caught:
            call()
        assert_helpful(str(caught.value), words)


def test_more_states_than_there_are_give_all_there_are(model: Surrogate) -> None:
    found = model.predict(formaldehyde(), n_states=10**9)
    assert len(found.singlets) == 6 * 4  # occupied times virtual orbitals
    assert len(found.triplets) == 6 * 4


BASE = f"data: [{DATA}]\noutput: run\n"

CONFIGS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "holds no mapping"),
    "a list": ("[]", "holds no mapping"),
    "a word": ("text", "holds no mapping"),
    "no YAML": ("a: [", "not readable YAML"),
    "binary": (b"\xff\xfe\x00", "not readable YAML"),
    "a zero byte": ("\x00", "not readable YAML"),
    "too deep": ("[" * 3000, "not readable YAML"),
    "an impossible date": ("data: !!timestamp 9999999-99-99", "not readable YAML"),
    "a list for a key": ("? [1, 2]\n: 3", "not readable YAML"),
    "code": ("!!python/object/apply:os.mkdir [executed]", "not readable YAML"),
    "other code": ("data: !!python/name:os.system", "not readable YAML"),
    "an unknown key": ("no_such: 1", "no_such: Extra inputs"),
    "an unknown key below": (BASE + "model: {chanels: 3}", "model.chanels: Extra inputs"),
    "no data": ("output: run", "data: Field required"),
    "no output": (f"data: [{DATA}]", "output: Field required"),
    "data that are no list": (f"data: {DATA}\noutput: run", "should be a valid list"),
    "data there are not": ("data: [no.h5]\noutput: run", "is not a file"),
    "a folder without data": ("data: [.]\noutput: run", "holds no dataset"),
    "data that are none": ("data: [good.xyz]\noutput: run", "could not be read as"),
    "an empty list of data": ("data: []\noutput: run", "0 training and 0 validation"),
    "a file for an output": (f"data: [{DATA}]\noutput: good.xyz", "cannot be made"),
    "an output that may not be": (f"data: [{DATA}]\noutput: /proc/run", "cannot be made"),
    "no epochs": (BASE + "epochs: 0", "epochs: Input should be greater"),
    "half an epoch": (BASE + "epochs: 1.5", "epochs: Input should be"),
    "a word of epochs": (BASE + "epochs: many", "epochs: Input should be"),
    "endless epochs": (BASE + f"epochs: {10**22}", "epochs: Input should be less"),
    "a rate that is no number": (BASE + "learning_rate: .nan", "learning_rate: Input should be"),
    "an infinite rate": (BASE + "learning_rate: .inf", "learning_rate: Input should be a finite"),
    "an infinite weight": (BASE + "losses: {energies: .inf}", "losses.energies: Input should be"),
    "an infinite cutoff": (BASE + "model: {network: {cutoff: .inf}}", "model.network.cutoff"),
    "an empty batch": (BASE + "batch_size: 0", "batch_size: Input should be"),
    "a negative seed": (BASE + "seed: -1", "seed: Input should be"),
    "a seed of 100 bits": (BASE + f"seed: {2**100}", "seed: Input should be"),
    "10⁸ threads": (BASE + f"threads: {10**8}", "threads: Input should be"),
    "10⁹ channels": (BASE + f"model: {{network: {{channels: {10**9}}}}}", "channels: Input should"),
    "an unknown kind": (BASE + "model: {kind: no}", "should be one of 'hamiltonian', 'direct'"),
    "an unknown backbone": (BASE + "model: {network: {kind: no}}", "model.network: kind should"),
    "a switch reversed": (BASE + "model: {pair_onset: 7, pair_cutoff: 6}", "must be below"),
    "an initial model there is not": (BASE + "initial: no.safetensors", "does not exist"),
    "an initial model that is none": (BASE + f"initial: {DATA}", "could not be read"),
    "a megabyte of a name": (BASE + f"epochs: {'x' * 10**6}", "epochs: Input should be"),
    "an exploding one": (
        "a: &a [x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join(9 * ['*' + a])}]\n" for a, b in zip("abcdefg", "bcdefgh"))  # noqa: B905
        + "data: *h\noutput: run",
        "a: Extra inputs",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_bad_configuration_is_refused(here: Path, case: str) -> None:
    content, words = CONFIGS[case]
    path = made(here, "train.yaml", content)
    assert_helpful(refusal(run("train", path)), words)
    assert not (here / "executed").exists()
    assert not list(here.rglob("*.safetensors"))


def test_the_table_is_long_enough() -> None:
    assert len(FILES) + len(STRUCTURES) + len(OPTIONS) + len(COMMANDS) + len(CONFIGS) >= 60
