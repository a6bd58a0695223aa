"""Molecules whose closed shell is a minimum only to within the model's error: told, and stored."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

import esml
from esml.commands.app import app
from esml.io.provenance import Provenance, restore
from esml.physics import InstabilityError, Response, Strategy
from esml.physics.orbitals import diagonalize
from esml.predict.surrogate import Surrogate

SHIPPED = Path(__file__).parents[1] / "data" / "version-0.1.0.safetensors"
"""The answers asserted are those of one model."""


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(SHIPPED, dtype=torch.float64)


@pytest.fixture(scope="module")
def tolerant() -> Surrogate:
    """A model that answers for stretched fluorine, whose closed shell is no minimum at all."""
    found = esml.load_model(SHIPPED, dtype=torch.float64)
    found.strategy = Strategy(saddle=2.0)
    return found


def twisted_ethene(degrees: float) -> Atoms:
    atoms: Atoms = molecule("C2H4")
    first, second = atoms.positions[:2]
    axis = (second - first) / np.linalg.norm(second - first)
    turn = Rotation.from_rotvec(np.radians(degrees) * axis)
    near = np.linalg.norm(atoms.positions - second, axis=1) < 1.3
    atoms.positions[near] = second + turn.apply(atoms.positions[near] - second)
    return atoms


def fluorine() -> Atoms:
    return Atoms("F2", [[0, 0, 0], [0, 0, 2.3]])


def test_a_triplet_little_below_is_told_and_singlets_stay(model: Surrogate) -> None:
    """Ethene at 80°: the triplet is 0.2 eV below; S1 goes on as it did before."""
    result = model.predict(twisted_ethene(80.0), 3)
    (warning,) = [w for w in result.warnings if "below the closed shell" in w]
    assert warning.startswith(f"a triplet is predicted {-result.triplets.energies[0]:.2f} eV below")
    assert not result.in_domain
    before = [model.predict(twisted_ethene(d), 3).singlets.energies[0] for d in (70.0, 75.0)]
    assert result.singlets.energies[0] == pytest.approx(2 * before[1] - before[0], abs=0.05)


def test_what_is_far_from_a_minimum_is_refused_and_told_why(model: Surrogate) -> None:
    with pytest.raises(InstabilityError, match=r"a triplet of C2H4 is predicted 1\.\d\d eV below"):
        model.predict(twisted_ethene(90.0))
    long = Atoms("N2", [[0, 0, 0], [0, 0, 2.0]])
    with pytest.raises(InstabilityError, match=r"far from a minimum \(lowest curvature -0\.95 eV"):
        model.predict(long)
    made = Provenance(geometry="conformer of ETKDG, relaxed with MMFF94")
    restore(long, made.as_dict())
    with pytest.raises(InstabilityError, match=r"; relax it with GFN2-xTB .* \(--geometry xtb\)$"):
        model.predict(long)
    torn = Atoms("H2", [[0, 0, 0], [0, 0, 5.0]])
    with pytest.raises(InstabilityError, match="unstable: parts of it that do not touch"):
        model.predict(torn)


def test_tamm_dancoff_singlets_of_a_saddle_point(tolerant: Surrogate) -> None:
    result = tolerant.predict(fluorine(), 3)
    assert "Tamm–Dancoff" in result.warnings[0]
    assert not result.in_domain
    with torch.no_grad():
        operators = tolerant.hamiltonian(tolerant.graph([fluorine()])).double()
        layout = operators.layout
        orbitals = diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        matrix = Response(orbitals, operators.interaction, layout).dense("A")[0]
    np.testing.assert_allclose(
        result.singlets.energies, torch.linalg.eigvalsh(matrix)[:3].numpy(), atol=1e-9
    )
    assert result.singlets.Y is not None
    assert not result.singlets.Y.any()


def test_their_gradients_are_finite_differences(tolerant: Surrogate) -> None:
    found = esml.excitation_gradients(tolerant, fluorine(), 0)
    assert "Tamm–Dancoff" in found.warnings[0]
    step, energies = 1e-4, []
    for shift in (-step, step):
        atoms = fluorine()
        atoms.positions[1, 2] += shift
        # The lowest two are one πσ* pair.
        energies.append(tolerant.predict(atoms, 2).singlets.energies.mean())
    numeric = (energies[1] - energies[0]) / (2 * step)
    assert found.gradients[0, 1, 2] == pytest.approx(numeric, rel=1e-5)
    stable = esml.excitation_gradients(tolerant, molecule("H2CO"), 0)
    assert stable.warnings == ()


def test_neighbours_in_a_batch_are_not_disturbed(tolerant: Surrogate) -> None:
    structures = [molecule("H2CO"), fluorine(), molecule("C2H4")]
    for atoms, found in zip(structures, tolerant.predict_many(structures, 3), strict=True):
        alone = tolerant.predict(atoms, 3)
        assert isinstance(found, esml.Result)
        np.testing.assert_allclose(found.singlets.energies, alone.singlets.energies, atol=1e-9)
        assert found.warnings[:1] == alone.warnings[:1]


def test_screen_page_and_tables_say_so(tmp_path: Path) -> None:
    geometry, page = tmp_path / "twisted.xyz", tmp_path / "page.html"
    ase.io.write(geometry, twisted_ethene(84.0))
    said = "eV below the closed shell"
    shown = CliRunner().invoke(app, ["spectrum", str(geometry), "--report", str(page)])
    assert shown.exit_code == 0
    assert f"{said}" in shown.stderr
    assert said in page.read_text(encoding="utf-8")
    for name in ("out.csv", "out.json"):
        output = tmp_path / name
        done = CliRunner().invoke(app, ["predict", str(geometry), "-o", str(output)])
        assert done.exit_code == 0
        assert "1 of the predicted are unlike" in done.stderr
        assert said in output.read_text(encoding="utf-8")
    (entry,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["results"]
    assert not entry["in_domain"]
