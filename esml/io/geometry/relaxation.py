"""Relax molecules with GFN2-xTB.

BFGS starts from a model Hessian instead of one number for all directions: each pair of atoms is a
spring that weakens with its *reduced distance* ρ, the distance over the sum of covalent radii,

    k(ρ) = K exp(−b (ρ − 1)),

and a constant represents out-of-plane bending and torsions, which pairs do not resist (after Lindh
et al., Chem. Phys. Lett. 241, 423 (1995), whose springs are Gaussians of the distance). It halves
the number of steps for dyes, and soft torsions end nearer to their minimum.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray

from esml.io.provenance import InputError

Array = NDArray[np.float64]

SPRING, DECAY, SOFT = 35.0, 4.0, 6.0
"""K (eV/Å²), b, and the constant added to all directions (eV/Å²)."""

FARTHEST = 3.0
"""Pairs beyond this reduced distance have no spring."""


def has_xtb() -> bool:
    """Return whether tblite is installed and can be loaded."""
    try:
        import tblite.interface  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


METHOD = "GFN2-xTB"


def xtb_calculator(charge: int) -> Any:
    """Return GFN2-xTB as an ASE calculator for molecules with ``charge``.

    Raises
    ------
    InputError
        Without tblite.
    """
    try:
        from tblite.ase import TBLite
    except (ImportError, OSError) as error:
        raise InputError(
            'GFN2-xTB needs tblite: pip install "esml[smiles]", or choose --geometry as-is and no '
            "modes"
        ) from error
    return TBLite(method=METHOD, charge=charge, verbosity=0)


@contextmanager
def converging() -> Iterator[None]:
    """Raise InputError if ASE or tblite report that the SCF does not converge."""
    from ase.calculators.calculator import CalculatorError

    try:
        yield
    except CalculatorError as error:
        raise InputError(
            f"{METHOD} fails for this molecule ({error or type(error).__name__}): expected a "
            "stable one of elements it knows; choose --geometry mmff or give a geometry file"
        ) from error


def relaxed(
    numbers: Any, positions: Array, charge: int, force: float, steps: int
) -> tuple[Array, float, bool]:
    """Relax a molecule with GFN2-xTB.

    Parameters
    ----------
    numbers, positions, charge
        The molecule: atomic numbers (n,), positions (n, 3) in Å, total charge in e.
    force
        Largest force on an atom (eV/Å) at which to stop.
    steps
        Largest number of steps.

    Returns
    -------
    tuple
        Positions (n, 3) in Å, energy in eV, and whether ``force`` was reached.

    Raises
    ------
    InputError
        Without tblite, or if the SCF does not converge.
    """
    from ase.optimize import BFGS

    atoms = Atoms(numbers, positions)
    atoms.calc = xtb_calculator(charge)
    with converging():
        with BFGS(atoms, logfile=None) as optimizer:
            optimizer.H0 = model_hessian(numbers, atoms.positions)
            converged = bool(optimizer.run(fmax=force, steps=steps))
        energy = float(atoms.get_potential_energy())
    return np.array(atoms.positions), energy, converged


def model_hessian(numbers: Any, positions: Array) -> Array:
    """Return the model Hessian (3n, 3n), eV/Å², of springs between all atoms.

    H_ij = −k(ρ_ij) u uᵀ with the unit vector u from one atom to the other, and H_ii = −Σ_j H_ij,
    plus the constant on the diagonal.
    """
    n = len(positions)
    radii = covalent_radii[np.asarray(numbers)]
    delta = positions[:, None] - positions[None, :]
    distances = np.linalg.norm(delta, axis=-1) + np.eye(n)
    reduced = distances / (radii[:, None] + radii[None, :])
    springs = SPRING * np.exp(-DECAY * (np.maximum(reduced, 0.8) - 1.0))
    springs[(reduced > FARTHEST) | np.eye(n, dtype=bool)] = 0.0
    unit = delta / distances[..., None]
    blocks = -springs[..., None, None] * unit[..., :, None] * unit[..., None, :]
    blocks[np.arange(n), np.arange(n)] = -blocks.sum(axis=1)
    stretching = blocks.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
    return np.asarray(stretching + SOFT * np.eye(3 * n), dtype=np.float64)
