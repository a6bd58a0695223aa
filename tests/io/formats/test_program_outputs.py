"""Outputs of quantum-chemistry programs: states by multiplicity, last geometries, broken files.

The outputs are shortened ones of PySCF, and texts in the forms of ORCA and Gaussian written for
these tests. ``python -m scripts.robustness.program_outputs`` reads folders of real ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from program_outputs import ANALYSED, PYSCF, SCF, TDDFT, TRIPLETS

from esml.io.comparison import read_comparison
from esml.io.formats.programs import (
    CalculatedState,
    multiplicity_of,
    program_of,
    read_calculation,
)
from esml.io.provenance import InputError
from esml.io.structure_checks import StructureError, check_structure
from esml.io.structures import read_structure

STEP = """
Geometry optimization cycle 2
Cartesian coordinates (Angstrom)
 Atom        New coordinates             dX        dY        dZ
   O  -0.000000   0.000000  -0.010000    0.000000  0.000000 -0.010000
   C   0.000000   0.000000   1.210000    0.000000  0.000000  0.010000
   H   0.940000   0.000000   1.790000    0.000000  0.000000  0.010000
   H  -0.940000   0.000000   1.790000    0.000000  0.000000  0.010000
"""
SINGLETS = (4.03365993, 9.5111732, 12.03711966, 12.21430606)


def written(folder: Path, content: str, name: str = "calc.out") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


# --- PySCF ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        PYSCF + SCF + TDDFT + TRIPLETS + ANALYSED,
        PYSCF + SCF + TDDFT + ANALYSED + TRIPLETS,
        PYSCF + SCF + TRIPLETS + TDDFT + ANALYSED + ANALYSED.replace("Singlet", "Triplet"),
        PYSCF + SCF + TDDFT.replace("4.03", "4.53") + TDDFT + TRIPLETS + ANALYSED,
    ],
    ids=["singlets first", "analysed at once", "triplets first", "calculated twice"],
)
def test_states_of_pyscf_go_by_multiplicity_in_any_order(tmp_path: Path, text: str) -> None:
    found = read_comparison(written(tmp_path, text))
    assert found.singlets.energies == pytest.approx(SINGLETS)
    assert found.singlets.oscillator_strengths == [0.0, 0.0096, 0.1214, 0.0]
    assert found.triplets is not None
    assert found.triplets.energies[0] == pytest.approx(3.06444243)
    assert found.orbitals is not None
    assert found.orbitals.homo == pytest.approx(-6.2225, abs=1e-3)
    assert "camb3lyp/sto-3g" in found.level
    assert "TDDFT singlets" in found.level
    assert "TDA triplets" in found.level


def test_the_last_geometry_of_an_optimization_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, PYSCF + SCF + TDDFT + STEP + SCF)
    found = read_structure(path)
    assert found.atoms.get_distance(0, 1) == pytest.approx(1.22)
    assert "the last of 2 geometries of the output" in found.provenance.notes
    check_structure(found.atoms)
    # The states above are those of the geometry before.
    with pytest.raises(InputError, match="no excited singlets"):
        read_comparison(path)


def test_the_last_molecule_of_a_script_is_read(tmp_path: Path) -> None:
    ion = PYSCF.replace("charge = 0", "charge = 2").replace("[INPUT]  1 O", "[INPUT]  1 S")
    found = read_structure(written(tmp_path, PYSCF + SCF + TDDFT + ion + SCF))
    assert found.atoms.get_chemical_formula() == "CH2S"
    assert found.provenance.charge == 2


# --- ORCA -----------------------------------------------------------------------------------------

ORCA = """
                                 *****************
                                 * O   R   C   A *
                                 *****************
|  1> ! CAM-B3LYP STO-3G
|  2> %tddft nroots 2 triplets true end
|  3> * xyz 0 1
---------------------------------
CARTESIAN COORDINATES (ANGSTROEM)
---------------------------------
  O      0.000000    0.000000    0.000000
  C      0.000000    0.000000    1.200000
  H      0.940000    0.000000    1.780000
  H     -0.940000    0.000000    1.780000

 Total Charge           Charge          ....    0
 Multiplicity           Mult            ....    1

----------------
ORBITAL ENERGIES
----------------

  NO   OCC          E(Eh)            E(eV)
   0   2.0000     -20.310000      -552.6632
   1   2.0000      -0.228673        -6.2225
   2   0.0000       0.136103         3.7035
   3   0.0000       0.640000        17.4153

                        ORCA TD-DFT/TDA CALCULATION

TD-DFT/TDA EXCITED STATES (SINGLETS)

STATE  1:  E=   0.148234 au      4.034 eV    32533.4 cm**-1 <S**2> =   0.000000 Mult 1
     7a ->   8a  :     0.998

STATE  2:  E=   0.349528 au      9.511 eV    76712.4 cm**-1 <S**2> =   0.000000 Mult 1
     6a ->   8a  :     0.995

TD-DFT/TDA EXCITED STATES (TRIPLETS)

STATE  3:  E=   0.112618 au      3.064 eV    24716.6 cm**-1 <S**2> =   2.000000 Mult 3
     7a ->   8a  :     0.998

STATE  4:  E=   0.225210 au      6.128 eV    49427.8 cm**-1 <S**2> =   2.000000 Mult 3
     6a ->   8a  :     0.998

{}
****ORCA TERMINATED NORMALLY****
"""
SIX = """----------------------------------------------------------------------------------------
                     ABSORPTION SPECTRUM VIA TRANSITION ELECTRIC DIPOLE MOMENTS
----------------------------------------------------------------------------------------
     Transition      Energy     Energy  Wavelength fosc(D2)      D2        DX        DY
                      (eV)      (cm-1)    (nm)                 (au**2)    (au)      (au)
----------------------------------------------------------------------------------------
  0-1A  ->  1-3A    3.064443   24716.6   404.6   0.000000000   0.00000   0.00000   0.00000
  0-1A  ->  1-1A    4.033660   32533.4   307.4   0.000000001   0.00000   0.00000   0.00000
  0-1A  ->  2-3A    6.128278   49427.8   202.3   0.000000000   0.00000   0.00000   0.00000
  0-1A  ->  2-1A    9.511173   76712.4   130.4   0.009600000   0.04100   0.00000   0.20250

----------------------------------------------------------------------------------------
      SOC CORRECTED ABSORPTION SPECTRUM VIA TRANSITION ELECTRIC DIPOLE MOMENTS
----------------------------------------------------------------------------------------
     Transition      Energy     Energy  Wavelength fosc(D2)      D2        DX        DY
                      (eV)      (cm-1)    (nm)                 (au**2)    (au)      (au)
----------------------------------------------------------------------------------------
  0-1.0A  ->  1-3.0A    4.033660   32533.4   307.4   0.900000000   0.00000   0.0   0.00000
"""
FIVE = """-----------------------------------------------------------------------------
         ABSORPTION SPECTRUM VIA TRANSITION ELECTRIC DIPOLE MOMENTS
-----------------------------------------------------------------------------
State   Energy    Wavelength  fosc         T2        TX        TY        TZ
        (cm-1)      (nm)                 (au**2)    (au)      (au)      (au)
-----------------------------------------------------------------------------
   1   32533.4    307.4   0.000000001   0.00000   0.00000   0.00000   0.00000
   2   76712.4    130.4   0.009600000   0.04100   0.00000   0.20250   0.00000
   3   24716.6    404.6   spin forbidden (mult=3)
   4   49427.8    202.3   spin forbidden (mult=3)
"""


@pytest.mark.parametrize("spectrum", [FIVE, SIX], ids=["ORCA 5", "ORCA 6"])
def test_states_of_orca_go_by_multiplicity(tmp_path: Path, spectrum: str) -> None:
    """ORCA 6 sorts its table of strengths by energy, triplets among singlets."""
    found = read_comparison(written(tmp_path, ORCA.format(spectrum)))
    assert found.level == "CAM-B3LYP STO-3G, TDA (ORCA)"
    assert found.singlets.energies == pytest.approx([4.0337, 9.5112], abs=1e-3)
    assert found.singlets.oscillator_strengths == pytest.approx([0.0, 0.0096], abs=1e-6)
    assert found.triplets is not None
    assert found.triplets.energies == pytest.approx([3.0644, 6.1283], abs=1e-3)
    assert found.orbitals is not None
    assert (found.orbitals.homo, found.orbitals.lumo) == (-6.2225, 3.7035)
    assert (found.formula, found.charge) == ("CH2O", 0)


def test_other_methods_of_orca_are_read_from_the_spectrum(tmp_path: Path) -> None:
    text = ORCA.format(SIX)
    start, end = text.index("TD-DFT/TDA EXCITED STATES (S"), text.index(SIX[:200])
    found = read_comparison(written(tmp_path, text[:start] + text[end:]))
    assert found.singlets.energies == pytest.approx([4.0337, 9.5112], abs=1e-3)
    # Before version 6 the table does not say what its states are.
    text = text.replace(SIX, FIVE)
    with pytest.raises(InputError, match="multiplicity of 2 of its 4 excited states"):
        read_comparison(written(tmp_path, text[:start] + text[end:]))


def test_the_last_geometry_of_orca_is_read(tmp_path: Path) -> None:
    text = ORCA.format(SIX)
    block = text[text.index("-----\nCARTESIAN") :].partition(" Total")[0]
    moved = block.replace("1.200000", "1.230000")
    found = read_structure(written(tmp_path, text.replace(block, block + moved)))
    assert found.atoms.get_distance(0, 1) == pytest.approx(1.23)
    assert "the last of 2 geometries of the output" in found.provenance.notes


# --- Gaussian, through cclib ----------------------------------------------------------------------

GAUSSIAN = """ Entering Gaussian System, Link 0=g16
 Copyright (c) 1988-2019, Gaussian, Inc.  All Rights Reserved.
 ******************************************
 Gaussian 16:  ES64L-G16RevC.01  3-Jul-2019
 ******************************************
 -----------------------------------------
 #p cam-b3lyp/sto-3g td=(50-50,nstates=2)
 -----------------------------------------
 Charge =  0 Multiplicity = 1
                         Standard orientation:
 ---------------------------------------------------------------------
 Center     Atomic      Atomic             Coordinates (Angstroms)
 Number     Number       Type             X           Y           Z
 ---------------------------------------------------------------------
      1          8           0        0.000000    0.000000    0.000000
      2          6           0        0.000000    0.000000    1.200000
      3          1           0        0.940000    0.000000    1.780000
      4          1           0       -0.940000    0.000000    1.780000
 ---------------------------------------------------------------------
 Excitation energies and oscillator strengths:

 Excited State   1:      Triplet-A2     3.0644 eV  404.59 nm  f=0.0000  <S**2>=2.000
       8 ->  9         0.70742

 Excited State   2:      Singlet-A2     4.0337 eV  307.37 nm  f=0.0000  <S**2>=0.000
       8 ->  9         0.70742

 Excited State   3:      Triplet-A1     6.1283 eV  202.31 nm  f=0.0000  <S**2>=2.000
       7 ->  9         0.70742

 Excited State   4:      Singlet-B2     9.5112 eV  130.36 nm  f=0.0096  <S**2>=0.000
       6 ->  9         0.70578

 Alpha  occ. eigenvalues --  -20.31000  -0.22867
 Alpha virt. eigenvalues --    0.13610   0.64000
 Normal termination of Gaussian 16 at Sat Nov 28 22:37:25 2026.
"""


def test_states_of_gaussian_go_by_multiplicity(tmp_path: Path) -> None:
    pytest.importorskip("cclib")
    found = read_comparison(written(tmp_path, GAUSSIAN, "calc.log"))
    assert found.singlets.energies == pytest.approx([4.0337, 9.5112], abs=1e-4)
    assert found.singlets.oscillator_strengths == pytest.approx([0.0, 0.0096])
    assert found.triplets is not None
    assert found.triplets.energies == pytest.approx([3.0644, 6.1283], abs=1e-4)
    assert (found.formula, found.charge) == ("CH2O", 0)


@pytest.mark.parametrize(
    ("name", "multiplicity"),
    [("Singlet-BU", 1), ("triplet ag", 3), ("3.016-A", 3), ("2.005-A", 2), ("???", None)],
)
def test_names_of_states_tell_multiplicities(name: str, multiplicity: int | None) -> None:
    assert multiplicity_of(name) == multiplicity


# --- what is refused ------------------------------------------------------------------------------

OUTPUTS = {
    "PySCF": PYSCF + SCF + TDDFT + TRIPLETS + ANALYSED,
    "ORCA": ORCA.format(SIX),
    "Gaussian": GAUSSIAN,
}


@pytest.mark.parametrize(
    ("program", "closed", "open_shell"),
    [
        ("PySCF", "2S) = 0", "2S) = 2"),
        ("ORCA", "Mult            ....    1", "Mult            ....    3"),
        ("Gaussian", "Multiplicity = 1", "Multiplicity = 3"),
    ],
)
def test_open_shells_are_refused_by_name(
    tmp_path: Path, program: str, closed: str, open_shell: str
) -> None:
    if program == "Gaussian":
        pytest.importorskip("cclib")
    path = written(tmp_path, OUTPUTS[program].replace(closed, open_shell))
    assert program_of(path) == program
    with pytest.raises(StructureError, match=r"'multiplicity'] = 3 .* open shells cannot be"):
        check_structure(read_structure(path).atoms)
    with pytest.raises(InputError, match=r"an open shell \(multiplicity 3\)"):
        read_comparison(path)


@pytest.mark.parametrize("program", OUTPUTS)
def test_broken_outputs_give_a_whole_geometry_or_a_sentence(tmp_path: Path, program: str) -> None:
    """Cut anywhere, an output never gives part of a molecule, and never fails without a word."""
    if program == "Gaussian":
        pytest.importorskip("cclib")
    text = OUTPUTS[program]
    whole = read_calculation(written(tmp_path, text)).table.atoms
    whole_ones = 0
    for end in range(150, len(text) - 60, 97):
        path = written(tmp_path, text[:end])
        if program_of(path) != program:
            continue
        try:
            found = read_calculation(path)
        except InputError:
            continue
        whole_ones += 1
        np.testing.assert_array_equal(found.table.atoms.numbers, whole.numbers)
        np.testing.assert_allclose(found.table.atoms.positions, whole.positions)
        if not found.ended:
            assert "not ended normally" in found.level
            assert "ended normally" in found.table.notes[-1]
    assert whole_ones > 1


def test_a_reference_for_another_molecule_is_told(tmp_path: Path) -> None:
    found = read_comparison(written(tmp_path, OUTPUTS["PySCF"]))
    assert found.differs("CH2O", 0) is None
    assert "for CH2O with charge +0, the prediction for CH2S" in str(found.differs("CH2S", 0))
    assert "with charge +1" in str(found.differs("CH2O", 1))


def test_states_are_sorted_by_energy(tmp_path: Path) -> None:
    found = read_calculation(written(tmp_path, ORCA.format(SIX)))
    assert [type(state) for state in found.states] == [CalculatedState] * 4
    assert found.of_multiplicity(3) == sorted(
        found.of_multiplicity(3), key=lambda state: state.energy
    )
    assert found.of_multiplicity(None) == []
