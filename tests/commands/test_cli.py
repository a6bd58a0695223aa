"""The command line as a user meets it: outputs, one-sentence refusals, exit codes.

Over 400 lines: one test for each option, on the same few molecules.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from ase.io import write
from surrogate_cases import read_one
from typer.testing import CliRunner, Result

import esml
from esml.commands.app import COMMANDS, Later, app
from esml.export import part_path, read_results
from esml.physics.excitations import InstabilityError
from esml.predict.batching import Batching
from esml.predict.journal import journal_path
from esml.predict.surrogate import Surrogate

EXAMPLES = Path(__file__).parents[2] / "examples"
AZOBENZENE = str(EXAMPLES / "azobenzene.xyz")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def refusal(result: Result, code: int = 2) -> str:
    """The one sentence a refused command ends with, notes before it left out."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.output
    return lines[0]


def save(path: Path, *images: Atoms) -> Path:
    write(path, list(images), format="extxyz")
    return path


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.json"
    path.write_text(
        json.dumps(
            {
                "level": "a [good] level",
                "singlets": {"energies": [2.51, 3.52], "oscillator_strengths": [0.0, 0.775]},
                "triplets": {"energies": [1.53]},
                "orbitals": {"homo": -8.04, "lumo": -1.16},
            }
        )
    )
    return path


# spectrum


def test_spectrum_prints_states_and_writes_picture_and_curve(tmp_path: Path) -> None:
    picture, curve = tmp_path / "azobenzene.png", tmp_path / "azobenzene.csv"
    result = run("spectrum", AZOBENZENE, "--n-states", "4", "--plot", picture, "--csv", curve)
    assert result.exit_code == 0, result.output
    expected = esml.load_model().predict(read_one(AZOBENZENE), n_states=4)
    assert "C12H10N2" in result.stdout
    assert f"{expected.homo:.2f}" in result.stdout
    rows = state_rows(result.stdout)
    assert list(rows) == ["S1", "S2", "S3", "S4", "T1", "T2", "T3", "T4"]
    for i, energy in enumerate(expected.singlets.energies):
        assert rows[f"S{i + 1}"][1] == f"{energy:.2f}"
        assert rows[f"S{i + 1}"][2] == f"{1239.842 / energy:.0f}"
        assert rows[f"S{i + 1}"][3] == f"{expected.singlets.oscillator_strengths[i]:.3f}"
    for i, energy in enumerate(expected.triplets.energies):
        assert rows[f"T{i + 1}"][1] == f"{energy:.2f}"
    assert picture.read_bytes().startswith(b"\x89PNG")
    with curve.open(newline="") as file:
        header, *points = csv.reader(file)
    assert header[0] == "energy_eV"
    assert len(points) > 10


def state_rows(text: str) -> dict[str, list[str]]:
    """Cells of the table of states by the state's label."""
    rows = [[cell.strip() for cell in line.split("│")] for line in text.splitlines()]
    return {row[0]: row for row in rows if row[0][:1] in "ST" and row[0][1:].isdigit()}


def test_spectrum_beside_a_reference(tmp_path: Path, reference: Path) -> None:
    picture = tmp_path / "both.png"
    result = run(
        "spectrum", AZOBENZENE, "--n-states", "3", "--compare", reference, "--plot", picture
    )
    assert result.exit_code == 0, result.output
    assert "a [good] level" in result.stdout
    rows = state_rows(result.stdout)
    assert rows["S2"][5:] == ["3.52", "0.775"]
    assert rows["S3"][5:] == ["–", "–"]
    assert rows["T1"][5:] == ["1.53", "–"]
    assert "-8.04" in result.stdout
    assert "6.88" in result.stdout  # the reference's gap
    assert picture.stat().st_size > 1000


def test_spectrum_of_a_smiles_notes_its_geometry() -> None:
    pytest.importorskip("rdkit")
    result = run("spectrum", "O=C(C)[NH3+]", "--n-states", "2")
    assert result.exit_code == 0, result.output
    assert "relaxed with GFN2-xTB" in result.stdout
    assert "O=C(C)[NH3+]" in result.stdout
    assert list(state_rows(result.stdout)) == ["S1", "S2", "T1", "T2"]


def test_spectrum_chooses_a_structure_of_a_file(tmp_path: Path) -> None:
    path = save(tmp_path / "two.xyz", molecule("H2CO"), molecule("C2H4"))
    last = run("spectrum", path, "--n-states", "1")
    assert "C2H4" in last.stdout
    assert "holds 2 structures" in last.stderr
    for index, formula in (("0", "CH2O"), ("1", "C2H4"), ("-2", "CH2O")):
        chosen = run("spectrum", path, "--n-states", "1", "--index", index)
        assert chosen.exit_code == 0, chosen.output
        assert formula in chosen.stdout
        assert chosen.stderr == ""
    assert "it holds 2" in refusal(run("spectrum", path, "--index", "2"))
    assert "it holds 2" in refusal(run("spectrum", path, "--index", "-3"))


def test_spectrum_takes_a_charge(tmp_path: Path) -> None:
    ammonium = molecule("NH3")
    ammonium.append("H")
    ammonium.positions[-1] = ammonium.positions[0] + (0.0, 0.0, 1.02)
    path = save(tmp_path / "ammonium.xyz", ammonium)
    assert "--charge" in refusal(run("spectrum", path))
    assert run("spectrum", path, "--charge", "1", "--n-states", "1").exit_code == 0


def test_an_unstable_ground_state_is_no_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def unstable(*_: object, **__: object) -> None:
        raise InstabilityError("the ground state is unstable")

    monkeypatch.setattr(Surrogate, "predict", unstable)
    assert "unstable" in refusal(run("spectrum", AZOBENZENE), code=1)


def broken(kind: str) -> Atoms:
    water: Atoms = molecule("H2O")
    if kind == "element":
        return Atoms("GeH4", molecule("SiH4").positions)
    if kind == "overlap":
        water.positions[1] = water.positions[2]
    elif kind == "nan":
        water.positions[1, 0] = np.nan
    elif kind == "odd":
        del water[1]
    return water


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("element", "Ge (atom 0) is of an element the model does not know"),
        ("overlap", "0.000 Å apart"),
        ("nan", "finite coordinates"),
        ("odd", "odd number"),
    ],
)
def test_spectrum_refuses_a_bad_structure(tmp_path: Path, kind: str, words: str) -> None:
    assert words in refusal(run("spectrum", save(tmp_path / "bad.xyz", broken(kind))))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--n-states", "-3"], "--n-states is -3"),
        (["--n-states", "0"], "--n-states is 0"),
        (["--fwhm", "0"], "--fwhm is 0"),
        (["--fwhm", "nan"], "--fwhm is nan"),
        (["--model", "no-such-model"], "no model 'no-such-model'"),
        (["--model", AZOBENZENE], "azobenzene.xyz"),
        (["--plot", "picture.docx"], "expected one of .png"),
        (["--plot", "no/such/directory/a.png"], "no directory that exists"),
        (["--csv", "."], "is a directory"),
        (["--compare", "no-such.json"], "cannot read 'no-such.json'"),
        (["--compare", AZOBENZENE], "is not JSON"),
        (["--width", "0"], "--fwhm is 0"),
        (["--axis", "cm"], "--axis is 'cm': expected nm or eV"),
        (["--range", "300"], "--range is '300': expected two numbers"),
        (["--range", "600:300"], "--range is 600 to 300 nm"),
        (["--experiment", "no-such.csv"], "cannot read 'no-such.csv'"),
    ],
)
def test_spectrum_refuses_bad_options(options: Sequence[str], words: str) -> None:
    assert words in refusal(run("spectrum", AZOBENZENE, *options))


def test_spectrum_refuses_bad_files(tmp_path: Path) -> None:
    assert "no file" in refusal(run("spectrum", tmp_path / "missing.xyz"))
    (tmp_path / "empty.xyz").touch()
    assert "is empty" in refusal(run("spectrum", tmp_path / "empty.xyz"))
    assert "is a directory" in refusal(run("spectrum", tmp_path))
    (tmp_path / "text.xyz").write_text("this is no geometry\n")
    assert "cannot read" in refusal(run("spectrum", tmp_path / "text.xyz"))
    (tmp_path / "bytes.xyz").write_bytes(bytes(range(256)))
    assert "cannot read" in refusal(run("spectrum", tmp_path / "bytes.xyz"))
    (tmp_path / "unknown.foo").write_text("nothing known\n")
    assert "cannot read" in refusal(run("spectrum", tmp_path / "unknown.foo"))
    cut = (EXAMPLES / "benzene.xyz").read_text().splitlines()[:8]
    (tmp_path / "cut.xyz").write_text("\n".join(cut))
    assert "cannot read" in refusal(run("spectrum", tmp_path / "cut.xyz"))


def test_spectrum_refuses_what_is_neither_file_nor_smiles() -> None:
    assert "neither" in refusal(run("spectrum", "C1CC(")) or "rdkit" in refusal(
        run("spectrum", "C1CC(")
    )


def test_a_reference_without_its_fields_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_text('{"level": "x", "singlets": {"energies": [3.0, 2.0]}}')
    assert "not ascending" in refusal(run("spectrum", AZOBENZENE, "--compare", path))
    path.write_text('{"singlets": {"energies": [3.0]}}')
    assert "level" in refusal(run("spectrum", AZOBENZENE, "--compare", path))


def test_a_smiles_without_rdkit_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    assert 'pip install "esml[smiles]"' in refusal(run("spectrum", "c1ccccc1"))


def test_a_picture_without_matplotlib_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    picture = tmp_path / "a.png"
    assert 'pip install "esml[plot]"' in refusal(run("spectrum", AZOBENZENE, "--plot", picture))


# predict


def test_predict_writes_every_structure_in_order(tmp_path: Path) -> None:
    two = save(tmp_path / "two.xyz", molecule("H2CO"), molecule("C2H4"))
    one = save(tmp_path / "one.xyz", molecule("C6H6"))
    out = tmp_path / "out.h5"
    result = run("predict", two, one, "-o", out, "--n-states", "3")
    assert result.exit_code == 0, result.output
    assert "3 predicted, 0 failed" in result.stdout
    stored = read_results(out)
    assert [(r.name, Path(r.source).name, r.index) for r in stored] == [
        ("two", "two.xyz", 0),
        ("two", "two.xyz", 1),
        ("one", "one.xyz", 0),
    ]
    assert stored.attributes["n_states"] == 3
    model = esml.load_model()
    for back in stored:
        alone = model.predict(back.atoms, n_states=3)
        # The network runs in single precision, here in batches and there alone.
        np.testing.assert_allclose(back.singlets.energies, alone.singlets.energies, atol=1e-3)
        np.testing.assert_allclose(back.triplets.energies, alone.triplets.energies, atol=1e-3)
        np.testing.assert_allclose(back.charges, alone.charges, atol=1e-3)


def test_predict_records_what_fails_and_goes_on(tmp_path: Path) -> None:
    kinds = ("element", "overlap", "nan", "odd")
    mixed = save(tmp_path / "mixed.xyz", molecule("H2CO"), *map(broken, kinds), molecule("C2H4"))
    garbage = tmp_path / "garbage.xyz"
    garbage.write_text("no geometry\n")
    missing = tmp_path / "missing.xyz"
    last = save(tmp_path / "last.xyz", molecule("C6H6"))
    # The second structure of a file is cut off; the first is good.
    torn = save(tmp_path / "torn.xyz", molecule("CH4"), molecule("CH4"))
    torn.write_text("\n".join(torn.read_text().splitlines()[:-2]))
    out = tmp_path / "out.h5"
    result = run("predict", mixed, garbage, missing, torn, last, "-o", out, "--n-states", "2")
    assert result.exit_code == 1, result.output
    assert "7 failed" in result.stdout
    assert "Traceback" not in result.output
    stored = read_results(out)
    good = [(Path(r.source).stem, r.index) for r in stored]
    assert good in (
        [("mixed", 0), ("mixed", 5), ("torn", 0), ("last", 0)],
        [("mixed", 0), ("mixed", 5), ("last", 0)],
    )
    failed = {(Path(f.source).stem, f.index): f.reason for f in stored.failures}
    assert set(failed) >= {("mixed", i) for i in (1, 2, 3, 4)} | {("garbage", 0), ("missing", 0)}
    assert "odd number" in failed["mixed", 4]
    assert "no file" in failed["missing", 0]
    assert [f for f in failed if f[0] == "torn"]
    assert result.stderr.count("failed: ") == 7


def test_an_interrupted_predict_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And continues from it, unless input or options differ or it is told to start again."""
    predict_many = Surrogate.predict_many
    windows: list[int] = []

    def interrupted(self: Surrogate, todo: list[Atoms], *rest: Any, **options: Any) -> Any:
        if len(windows) == 1:
            raise KeyboardInterrupt
        windows.append(len(todo))
        return predict_many(self, todo, *rest, **options)

    model = esml.load_model().with_batching(Batching(window=2))
    monkeypatch.setattr("esml.predict.model_files.load_model", lambda name, **_: model)
    path = save(tmp_path / "a.xyz", *[molecule(m) for m in ("H2CO", "C2H4", "HCN", "CH4", "CH3")])
    out, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    command = ["predict", path, "--n-states", "2", "-o"]
    assert run(*command, whole).exit_code == 1
    with monkeypatch.context() as patch:
        patch.setattr(Surrogate, "predict_many", interrupted)
        result = run(*command, out)
    assert result.exit_code == 130
    assert "what was predicted is kept in" in result.stderr
    assert not out.exists()
    assert journal_path(out).exists()
    other = refusal(run("predict", path, "-o", out, "--n-states", "3"))
    assert "a different number of states: expected the same settings to continue" in other
    content = path.read_text()
    path.write_text(content + content)
    assert "a different set of input files" in refusal(run(*command, out))
    path.write_text(content)
    result = run(*command, out)
    assert "2 of them are from an earlier run" in result.stderr
    assert "4 predicted, 1 failed" in result.stdout
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.xyz", "out.csv", "whole.csv"]


def test_a_journal_can_be_done_without(tmp_path: Path) -> None:
    path, out = save(tmp_path / "a.xyz", molecule("H2CO")), tmp_path / "out.csv"
    journal_path(out).write_text("notes of somebody\n")
    assert "is not a journal of esml predict" in refusal(run("predict", path, "-o", out))
    assert journal_path(out).read_text() == "notes of somebody\n"
    assert run("predict", path, "-o", out, "--restart").exit_code == 0
    assert not journal_path(out).exists()


def test_predict_refuses_bad_options(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xyz", molecule("CH4"))
    assert "one of the input files" in refusal(run("predict", path, "-o", path))
    assert "no directory" in refusal(run("predict", path, "-o", tmp_path / "no" / "out.h5"))
    assert "--n-states is 0" in refusal(
        run("predict", path, "-o", tmp_path / "out.h5", "--n-states", "0")
    )
    assert "no model" in refusal(
        run("predict", path, "-o", tmp_path / "out.h5", "--model", "no-such-model")
    )
    assert path.stat().st_size > 0
    assert not part_path(tmp_path / "out.h5").exists()


# the rest


def test_info_prints_the_model_card() -> None:
    result = run("info")
    assert result.exit_code == 0, result.output
    metadata = esml.load_model().metadata
    shown = " ".join(result.stdout.split())
    assert f"{metadata['n_structures']:,} structures" in shown
    assert "camb3lyp/def2-svp" in shown
    assert "H, B, C, N, O, F, Si, P, S, Cl, Se, Br, I" in shown
    assert "off the truth" in shown
    labels = esml.load_model("camb3lyp").metadata["validation"]
    card = " ".join(run("info", "camb3lyp").stdout.split())
    assert f"S1 {labels['s1_mae_eV']:.3f} eV" in card
    assert len(result.stdout.splitlines()) < 20
    assert json.loads(run("info", "--json").stdout) == metadata
    for name in esml.available_models():
        assert run("info", name).exit_code == 0
    assert "no model" in refusal(run("info", "no-such-model"))


def test_doctor_says_what_is_there_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    found = run("doctor")
    assert found.exit_code == 0, found.output
    assert f"ok       esml {esml.__version__}" in found.stdout
    assert "S1 of formaldehyde" in found.stdout

    def version(package: str) -> str:
        if package == "mcp":
            raise metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr("esml.commands.doctor.version", version)
    lines = run("doctor").stdout.splitlines()
    (missing,) = (line for line in lines if line.startswith("missing"))
    assert missing == 'missing  tools for assistants: mcp; pip install "esml[tools]"'
    broken = run("doctor", "--model", "no-such-model")
    assert broken.exit_code == 1
    assert "broken   a prediction of formaldehyde: no model 'no-such-model'" in broken.stdout


def test_a_device_there_is_not_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xyz", molecule("CH4"))
    for command in (["spectrum", path], ["predict", path, "-o", tmp_path / "a.h5"]):
        assert run(*command, "--n-states", "1", "--device", "cpu").exit_code == 0
        assert "device 'abacus' cannot be used" in refusal(run(*command, "--device", "abacus"))
    pytest.importorskip("fastapi")
    data = Path(__file__).parents[1] / "data" / "tiny.h5"
    settings = {"data": [str(data)], "output": str(tmp_path / "run")}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    for other in (["train", config], ["evaluate", "default", data], ["serve"]):
        assert "device 'abacus' cannot be used" in refusal(run(*other, "--device", "abacus"))


def test_train_and_evaluate_refuse_what_is_not_there(tmp_path: Path) -> None:
    assert "no file" in refusal(run("train", tmp_path / "missing.yaml"))
    assert "no dataset" in refusal(run("evaluate", "default", tmp_path / "missing.h5"))
    data = tmp_path / "data.h5"
    data.write_text("no HDF5")
    assert "data.h5" in refusal(run("evaluate", "default", data))
    assert "no model" in refusal(run("evaluate", "no-such-model", data))


def test_train_names_the_unknown_key(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("no_such_key: 1\n")
    assert "no_such_key" in refusal(run("train", config))
    config.write_text("[unclosed\n")
    refusal(run("train", config))


def test_version_and_help_answer_without_loading_torch() -> None:
    assert run("--version").stdout.strip() == f"esml {esml.__version__}"
    script = (
        "import sys\n"
        "from typer.testing import CliRunner, Result\n"
        "from esml.commands.app import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0\n"
        "assert 'spectrum' in result.stdout\n"
        "heavy = {'torch', 'ase', 'numpy', 'scipy', 'h5py', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_of_a_command_what_its_own_help_says(name: str) -> None:
    command = Later(name).whole()
    assert command.name == name
    assert command.help.partition("\n")[0] == COMMANDS[name][1]


def test_a_spectrum_loads_nothing_it_does_not_use(tmp_path: Path) -> None:
    """Half a second each, which who wants one spectrum waits for.

    RDKit is not among them: it names groups, and its import takes 0.04 s.
    """
    path = tmp_path / "molecule.xyz"
    write(path, molecule("H2CO"))
    script = (
        "import sys\n"
        "from typer.testing import CliRunner, Result\n"
        "from esml.commands.app import app\n"
        f"result = CliRunner().invoke(app, ['spectrum', {str(path)!r}])\n"
        "assert result.exit_code == 0, result.output\n"
        "heavy = {'scipy.stats', 'matplotlib', 'pyscf', 'pandas', 'dask', 'distributed', 'tblite', "
        "'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "esml", "--version"], capture_output=True, text=True
    )
    assert done.stdout.strip() == f"esml {esml.__version__}"
