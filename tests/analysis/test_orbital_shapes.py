"""The functions that orbitals are drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from ase.data import chemical_symbols

from esml.analysis.orbital_shapes import contraction
from esml.physics.basis import ELEMENTS


@pytest.mark.parametrize("number", ELEMENTS)
def test_valence_functions_are_those_of_sto_3g(number: int) -> None:
    gto = pytest.importorskip("pyscf.gto")
    basis = gto.basis.load("sto-3g", chemical_symbols[number])
    exponents, *coefficients = contraction(number)
    for momentum, found in enumerate(coefficients):
        shells = [shell for shell in basis if shell[0] == momentum]
        if not len(found):
            assert not shells
            continue
        expected = np.array(shells[-1][1:])
        np.testing.assert_allclose(exponents, expected[:, 0], rtol=1e-6)
        np.testing.assert_allclose(found, expected[:, 1], rtol=1e-6)
