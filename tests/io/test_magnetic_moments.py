"""Open shells stated by initial magnetic moments."""

from __future__ import annotations

import pytest
from ase.build import molecule

from esml.io.structure_checks import StructureError, check_structure


@pytest.mark.parametrize(
    ("moments", "words"),
    [([1.0, -1.0], "moments of 1 that cancel"), ([1.0, 1.0], "moments summing to 2")],
)
def test_unpaired_electrons_are_refused_parallel_or_not(moments: list[float], words: str) -> None:
    ethene = molecule("C2H4")
    ethene.set_initial_magnetic_moments([*moments, 0.0, 0.0, 0.0, 0.0])
    with pytest.raises(StructureError, match=words):
        check_structure(ethene)


def test_moments_of_a_converged_closed_shell_are_accepted() -> None:
    ethene = molecule("C2H4")
    ethene.set_initial_magnetic_moments([0.02, -0.02, 0.0, 0.0, 0.0, 0.0])
    check_structure(ethene)
