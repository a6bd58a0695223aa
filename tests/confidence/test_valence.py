"""Saturated molecules have no valence state, and are told so; others are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.confidence import no_valence_state
from esml.confidence.valence import RYDBERG
from esml.io.structures import ReadingOptions, from_smiles
from esml.predict.surrogate import Surrogate


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


def tetrahedral(centre: str, ends: int, length: float) -> Atoms:
    """Methyl groups around an atom, hydrogens staggered."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5
    atoms = Atoms(centre, [[0, 0, 0]])
    for direction in corners[:ends]:
        atoms += Atoms("C", [length * direction])
        for other in corners:
            if other @ direction < 0.9:
                atoms += Atoms("H", [length * direction - 1.09 * other])
    return atoms


def methylamine() -> Atoms:
    """From methane, a hydrogen replaced; a geometry near the relaxed one."""
    return Atoms(
        "CNH5",
        [
            [0.052, 0.705, 0.0], [0.052, -0.760, 0.0],
            [-0.942, 1.176, 0.0], [0.593, 1.060, 0.881], [0.593, 1.060, -0.881],
            [-0.459, -1.100, 0.812], [-0.459, -1.100, -0.812],
        ],
    )  # fmt: skip


def tert_butylamine() -> Atoms:
    atoms = tetrahedral("C", 3, 1.53)
    axis = np.array([-1.0, -1.0, 1.0]) / 3**0.5
    nitrogen = 1.47 * axis
    side = np.cross(axis, [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    hydrogens = [nitrogen + 0.37 * axis + s * 0.83 * side + 0.45 * np.cross(axis, side)
                 for s in (-1, 1)]  # fmt: skip
    whole: Atoms = atoms + Atoms("NH2", [nitrogen, *hydrogens])
    return whole


def cyclohexane() -> Atoms:
    """The chair of C–C 1.53 Å with tetrahedral angles."""
    angles = np.radians(60.0 * np.arange(6))
    heights = 0.25 * (-1.0) ** np.arange(6)
    ring = np.stack([1.455 * np.cos(angles), 1.455 * np.sin(angles), heights], 1)
    outward = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    up = np.sign(heights)[:, None] * np.array([0.0, 0.0, 1.0])
    axial = ring + 1.10 * up
    equatorial = ring + 1.10 * (0.943 * outward - 0.333 * up)
    return Atoms("C6H12", np.concatenate([ring, axial, equatorial]))


SATURATED: dict[str, Callable[[], Atoms]] = {
    "water": lambda: molecule("H2O"),
    "methane": lambda: molecule("CH4"),
    "ethane": lambda: molecule("C2H6"),
    "methylamine": methylamine,
    "tert-butylamine": tert_butylamine,
    "cyclohexane": cyclohexane,
    "dimethyl ether": lambda: molecule("CH3OCH3"),
    "methanol": lambda: molecule("CH3OH"),
    "cyclopropane": lambda: molecule("C3H6_D3h"),
}
UNSATURATED = (
    "H2CO", "CH3COCH3", "C6H6", "C4H4NH", "C2H4", "C2H2", "HCOOH", "CH3CN", "CH3CONH2", "C5H5N",
    "C4H4S",
)  # fmt: skip


@pytest.mark.parametrize("name", SATURATED)
def test_saturated_molecules_are_warned_of(model: Surrogate, name: str) -> None:
    result = model.predict(SATURATED[name](), 1, n_triplets=1)
    assert not result.in_domain
    said = [w for w in result.warnings if "no valence state" in w]
    # Water is named by its H–O–H chain instead, which no training molecule has.
    assert bool(said) == (name != "water")


@pytest.mark.parametrize("name", UNSATURATED)
def test_unsaturated_molecules_are_not(model: Surrogate, name: str) -> None:
    result = model.predict(molecule(name), 1, n_triplets=1)
    assert not [w for w in result.warnings if "no valence state" in w]
    assert result.in_domain


def test_the_lowest_triplet_decides() -> None:
    homo = torch.tensor([-10.0, -10.0, -10.0, torch.nan])
    triplets = torch.tensor([[10.0 - RYDBERG - 0.01], [10.0 - RYDBERG + 0.01], [torch.nan], [5.0]])
    neutral = torch.zeros(4)
    said = no_valence_state(triplets, homo, neutral)
    assert [bool(each) for each in said] == [False, True, False, False]
    assert no_valence_state(triplets[:, :0], homo, neutral) == [None] * 4


def test_ions_bind_a_rydberg_electron_by_their_charge() -> None:
    """(q + 1)² times as strongly; without a charge left behind there is no Rydberg state."""
    charges = torch.tensor([1.0, 1.0, 2.0, -1.0, -2.0])
    edges = 35.0 - RYDBERG * torch.tensor([4.0, 4.0, 9.0, 0.0, 0.0])
    off = torch.tensor([-0.01, 0.01, 0.01, 9.0, 9.0])
    said = no_valence_state((edges + off)[:, None], torch.full((5,), -35.0), charges)
    assert [bool(each) for each in said] == [False, True, True, False, False]


def test_cationic_dyes_have_valence_states(model: Surrogate) -> None:
    """A streptocyanine, whose HOMO is bound by less than a Rydberg electron at a small core is."""
    pytest.importorskip("rdkit")
    dye = from_smiles("CN(C)C=CC=CC=[N+](C)C", ReadingOptions(geometry="mmff"))
    result = model.predict(dye.atoms, 1, n_triplets=1)
    assert result.charges.sum() == pytest.approx(1.0, abs=1e-3)
    assert not [w for w in result.warnings if "no valence state" in w]
