"""State-specific terms of a solvent: Born's and Marcus' limits, invariance, real dyes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from surrogate_cases import read_one

import esml
from esml.analysis.solvation import solvation
from esml.units import COULOMB

EXAMPLES = Path(__file__).parents[2] / "examples"
ACETONITRILE = esml.Solvent(35.7, 1.344)


def test_a_lone_atom_gains_born_s_energy() -> None:
    """An electron that leaves an atom: −(1 − 1/n²) C/2a, and (1/n² − 1/ε) C/2a."""
    radius = 1.2 * 1.70
    found = solvation(Atoms("C"), np.array([[1.0], [0.0]]), ACETONITRILE)
    born, optical = COULOMB / (2 * radius), ACETONITRILE.optical
    assert found.polarization[0] == pytest.approx(-(1 - 1 / optical) * born, rel=1e-12)
    expected = (1 / optical - 1 / ACETONITRILE.epsilon) * born
    assert found.reorganization[0] == pytest.approx(expected, rel=1e-12)
    assert found.polarization[1] == found.reorganization[1] == 0.0


def test_transfer_between_distant_atoms_costs_what_marcus_says() -> None:
    """λ = C (1/n² − 1/ε) (1/2a₁ + 1/2a₂ − 1/R) (R. A. Marcus, J. Chem. Phys. 24, 966, 1956)."""
    apart = 500.0
    pair = Atoms("CN", [(0, 0, 0), (0, 0, apart)])
    found = solvation(pair, np.array([[1.0, -1.0]]), ACETONITRILE).reorganization[0]
    ends = 1 / (2.4 * 1.70) + 1 / (2.4 * 1.55) - 1 / apart
    factor = 1 / ACETONITRILE.optical - 1 / ACETONITRILE.epsilon
    assert found == pytest.approx(COULOMB * factor * ends, rel=1e-5)


def test_only_what_turns_is_left_to_come_to_rest() -> None:
    change = np.array([[0.5, -0.5]])
    pair = Atoms("CO", [(0, 0, 0), (0, 0, 1.2)])
    like = esml.Solvent(1.8, math.sqrt(1.8))
    for solvent in (like, esml.Solvent(1.8, 1.4)):  # ε below n², as tables have it for alkanes
        found = solvation(pair, change, solvent)
        assert found.reorganization[0] == pytest.approx(0.0, abs=1e-12)
        assert found.polarization[0] < 0
    nothing = solvation(pair, change, None)
    assert not nothing.polarization.any()
    assert not nothing.reorganization.any()


def test_charge_transfer_in_a_polar_solvent() -> None:
    """p-Nitroaniline's bright state moves about 0.5 e; its terms do not depend on orientation."""
    model = esml.load_model()
    atoms = read_one(EXAMPLES / "p-nitroaniline.xyz")
    result = model.predict(atoms, 4, n_triplets=1, solvent="acetonitrile")
    k = int(result.singlets.oscillator_strengths.argmax())
    terms = result.solvation()
    assert -0.5 < terms.polarization[k] < -0.05
    assert 0.05 < terms.reorganization[k] < 0.5
    turned = atoms.copy()
    turned.rotate(50.0, (1.0, 2.0, 3.0))
    again = model.predict(turned, 4, n_triplets=1, solvent="acetonitrile").solvation()
    np.testing.assert_allclose(again.reorganization[k], terms.reorganization[k], atol=1e-4)
    assert not model.predict(atoms, 4, n_triplets=1).solvation().polarization.any()
