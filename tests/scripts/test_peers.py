"""Foreign programs: what is read from their output, and the programs where they are installed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from scripts.accuracy import peers

# MOPAC 22.0.6, formaldehyde, INDO CIS WRTCI=5.
OUTPUT = """\
 Dipole moment= -0.000000 -0.000000 -3.668243 tot=  3.668243 Debyes


  CI trans.  energy frequency wavelength oscillator--------- polarization---------  dipole  ------
 st.  symm.    eV      cm - 1       nm      strength       x          y         z       moment

   2      3.1774253    25628.    390.20  0.000000                                   1.074754  -0.000
   3      8.1657342    65861.    151.83  0.025179  -0.000000   1.000000   0.000000  2.067400  -0.000
   4      8.6468213    69741.    143.39  0.332055   0.000000  -0.000000   1.000000  1.453002   0.000
   5      8.8619445    71477.    139.91  0.018021   1.000000  -0.000000  -0.000000  0.068763  -0.000

 Polarizability (au  ) xx=    0.51 xy=   -0.00 yy=    0.84 xz=    0.00 yz=   -0.00 zz=    9.87

 Major CI contributions to CI states

State    2  3.1774     CI coeff  CI percent
    Config       2   0.99131675  0.98270891
"""


def test_mopac_states_are_read() -> None:
    energies, strengths = peers.parse_mopac(OUTPUT)
    np.testing.assert_allclose(energies, [3.1774253, 8.1657342, 8.6468213, 8.8619445])
    np.testing.assert_allclose(strengths, [0.0, 0.025179, 0.332055, 0.018021])


def test_a_triplet_below_the_ground_state_is_read() -> None:
    text = OUTPUT.replace(
        "   2      3.1774253    25628.    390.20", "   2     -0.2500000    -2016.  -4959.37"
    )
    assert peers.parse_mopac(text)[0][0] == -0.25


def test_output_without_states_is_refused() -> None:
    with pytest.raises(peers.PeerError, match="Unable to go on"):
        peers.parse_mopac("INDO CALCULATION\n * Unable to go on: too few electrons\n")
    with pytest.raises(peers.PeerError, match="no reason found"):
        peers.parse_mopac("")


def test_a_missing_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(peers.PeerMissingError, match="apt-get install mopac"):
        peers.run_mopac_indo(molecule("H2O"), 3)


def turned(atoms: Atoms) -> Atoms:
    """The same molecule elsewhere, its atoms in another order."""
    other = atoms[::-1]
    other.rotate(50.0, (1.0, 2.0, 0.5))
    other.translate((3.0, -1.0, 2.0))
    return other


@pytest.mark.parametrize("name", ["INDO/S CIS", "TD-DFTB3", "TD-DFTB2"])
def test_states_of_benzene(name: str) -> None:
    """E1u is a degenerate pair and carries the strength; nothing depends on the orientation."""
    if name == "INDO/S CIS" and shutil.which("mopac") is None:
        pytest.skip("no mopac")
    if name != "INDO/S CIS":
        pytest.importorskip("scine_sparrow")
    atoms = molecule("C6H6")
    states = peers.PEERS[name](atoms, 12)
    assert (np.diff(states.singlets) > -1e-6).all()
    assert 4.0 < states.singlets[0] < 5.6
    assert states.triplets[0] < states.singlets[0]
    pair = np.argsort(states.strengths)[-2:]
    assert np.ptp(states.singlets[pair]) < 1e-3
    assert np.ptp(states.strengths[pair]) < 1e-3
    assert states.strengths[pair].sum() > 0.9 * states.strengths.sum() > 0.5
    again = peers.PEERS[name](turned(atoms), 12)
    np.testing.assert_allclose(again.singlets, states.singlets, atol=2e-4)
    np.testing.assert_allclose(again.triplets, states.triplets, atol=2e-4)


def test_an_element_without_parameters_is_said() -> None:
    pytest.importorskip("scine_sparrow")
    with pytest.raises(peers.PeerError, match="H and Cl"):
        peers.run_sparrow_td_dftb2(molecule("CH3Cl"), 3)
    # 3ob has chlorine, but no spin constants for it.
    states = peers.run_sparrow_td_dftb(molecule("CH3Cl"), 3)
    assert len(states.singlets) == 3
    assert len(states.triplets) == 0
