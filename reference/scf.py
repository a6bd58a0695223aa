"""Restricted Kohn–Sham ground states in any basis, with density fitting."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from pyscf import dft, gto
from pyscf.dft import libxc
from pyscf.gto.basis import load as load_basis
from pyscf.gto.basis import load_ecp

from esml.physics.basis import VALENCE_ELECTRONS
from esml.units import BOHR

ELEMENTS: Final = tuple(sorted(VALENCE_ELECTRONS))
"""Atomic numbers of the elements that can be labelled."""

COINCIDENT = 0.3
"""Distance (Å) below which two atoms count as a mistake in the structure."""
KEPT_BYTES = 1.5e9
"""Largest size of the basis functions on the grid to keep between SCF cycles (bytes)."""


class CalculationError(RuntimeError):
    """A reference calculation failed or cannot be trusted; the message is one sentence."""


@dataclass(frozen=True)
class Level:
    """All settings that the labels depend on; stored with every record.

    The default truncations (``virtual_cutoff``, ``response_grid``, ``scf_grid``) are those of the
    reference data. ``Level(virtual_cutoff=None, response_grid=3, scf_grid=3)`` leaves out nothing
    but the core orbitals; ``frozen_core=False`` includes these, too.
    """

    functional: str = "camb3lyp"
    basis: str = "def2-svp"
    minimal_functional: str = "camb3lyp"
    minimal_basis: str = "sto-3g"
    scf_grid: int = 1  # PySCF grid level of the ground state
    response_grid: int = 0  # PySCF grid level of the exchange–correlation kernel
    virtual_cutoff: float | None = 3.0  # hartree; higher virtuals are left out of the response
    frozen_core: bool = True
    energy_tolerance: float = 1e-9  # hartree; SCF convergence
    n_singlets: int = 16  # at most
    n_triplets: int = 12  # at most
    energy_window: float = 9.5  # eV; higher states are not stored (but at least three of each)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@cache
def _potential(basis: str, symbol: str) -> int:
    """Return how many electrons of ``symbol`` the core potential of ``basis`` replaces."""
    try:
        return int(load_ecp(basis, symbol)[0])
    except Exception:  # without a potential, PySCF's parser raises errors of many types
        return 0


def core_orbitals(numbers: np.ndarray, basis: str) -> int:
    """Return the number of doubly occupied core orbitals in a calculation with ``basis``.

    It is Σ_A (Z_A − V_A − P_A) / 2 with nuclear charge Z, valence electrons V (s and p of the
    outermost shell) and P electrons replaced by the effective core potential of the basis. The core
    orbitals are none on H, 1s on B to F, 1s2s2p on Si to Cl, 1s to 3d on Se and Br, and 4s4p4d on I
    in def2 bases (1s to 4d without a potential).
    """
    cores = (
        int(z) - VALENCE_ELECTRONS[int(z)] - _potential(basis, chemical_symbols[int(z)])
        for z in numbers
    )
    return sum(cores) // 2


def core_orbitals_of(mol: gto.Mole) -> int:
    """Return :func:`core_orbitals` of a PySCF molecule, whose nuclear charges may be effective."""
    symbols = [mol.atom_pure_symbol(atom) for atom in range(mol.natm)]
    valence = sum(VALENCE_ELECTRONS[atomic_numbers[symbol]] for symbol in symbols)
    return (int(mol.atom_charges().sum()) - valence) // 2


def molecule(atoms: Atoms, basis: str) -> gto.Mole:
    """Return the PySCF molecule of ``atoms`` (positions in Å) in ``basis``.

    The charge is ``info["charge"]``. Elements get the effective core potential that belongs to
    ``basis``, if there is one. Raises CalculationError for coinciding atoms, an element outside
    :data:`ELEMENTS`, a basis PySCF does not know, or a number of electrons that is odd or not
    positive.
    """
    distances = atoms.get_all_distances() + np.diag(np.full(len(atoms), np.inf))
    if not (distances > COINCIDENT).all():
        raise CalculationError(
            f"two atoms coincide or a position is not finite: expected atoms {COINCIDENT} Å apart "
            "at least; fix the structure"
        )
    strange = sorted(set(atoms.numbers.tolist()) - set(ELEMENTS))
    if strange:
        raise CalculationError(
            f"{chemical_symbols[strange[0]]} is not supported: expected elements among "
            f"{' '.join(chemical_symbols[z] for z in ELEMENTS)}; leave the molecule out"
        )
    for symbol in sorted(set(atoms.get_chemical_symbols())):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PySCF advises to install a basis-set package
                load_basis(basis, symbol)
        except Exception as error:
            raise CalculationError(
                f"basis {basis!r} is not known to PySCF for {symbol}: expected a name such as "
                "'def2-svp' or 'sto-3g'; fix the level's basis"
            ) from error
    charge = int(atoms.info.get("charge", 0))
    n_electrons = int(atoms.numbers.sum()) - charge
    if n_electrons % 2 or n_electrons <= 0:
        raise CalculationError(
            f"{n_electrons} electrons make no closed shell: expected an even, positive number; "
            "give another charge or leave the molecule out"
        )
    return gto.M(
        atom=[(int(z), r) for z, r in zip(atoms.numbers, atoms.positions / BOHR, strict=True)],
        unit="Bohr",
        basis=basis,
        ecp={s: basis for s in set(atoms.get_chemical_symbols()) if _potential(basis, s)},
        charge=charge,
        verbose=0,
        max_memory=8000,
    )


def require_known(functional: str) -> None:
    """Raise CalculationError if PySCF does not know ``functional``."""
    try:
        libxc.parse_xc(functional)
    except (KeyError, ValueError) as error:
        raise CalculationError(
            f"functional {functional!r} is not known to PySCF: expected a name such as 'camb3lyp' "
            "or 'pbe0'; fix the level's functional"
        ) from error


class _KeptFunctions(dft.numint.NumInt):  # type: ignore[misc]
    """Numerical integration that evaluates the basis functions once instead of in every cycle."""

    def __init__(self) -> None:
        super().__init__()
        self._grid: Any = None
        self._kept: dict[int, list[Any]] = {}

    def block_loop(
        self, mol: gto.Mole, grids: Any, nao: int | None = None, deriv: int = 0, **options: Any
    ) -> Iterator[Any]:
        """Yield blocks (functions, mask, weights, points) like PySCF's own loop."""
        if self._grid is not grids.coords:
            self._grid, self._kept = grids.coords, {}
        if deriv in self._kept:
            yield from self._kept[deriv]
            return
        components = (deriv + 1) * (deriv + 2) * (deriv + 3) // 6
        fits = 8 * components * len(grids.weights) * mol.nao < KEPT_BYTES
        blocks = []
        for functions, *rest in super().block_loop(mol, grids, nao, deriv, **options):
            if fits:  # copy, because PySCF's loop reuses the memory of a block
                blocks.append((functions.copy(order="K"), *rest))
            yield (functions, *rest)
        if fits:
            self._kept[deriv] = blocks


def ground_state(
    mol: gto.Mole, functional: str, level: Level, medium: Callable[[Any], Any] | None = None
) -> Any:
    """Converge the ground state of ``mol`` and return the density-fitted RKS object.

    ``medium`` adds the surroundings of the molecule to the RKS object before the SCF. Raises
    CalculationError for a functional PySCF does not know or an SCF that does not converge.
    """
    require_known(functional)
    mean_field = dft.RKS(mol).density_fit()
    mean_field.xc = functional
    mean_field._numint = _KeptFunctions()
    mean_field.grids.level = level.scf_grid
    mean_field.conv_tol = level.energy_tolerance
    mean_field.conv_tol_grad = 1e-5
    mean_field.max_cycle = 80
    if medium is not None:
        mean_field = medium(mean_field)
    mean_field.kernel()
    if not mean_field.converged:
        mean_field = mean_field.newton()
        mean_field.max_cycle = 30
        mean_field.kernel()
    if not mean_field.converged:
        raise CalculationError(
            f"the {functional}/{mol.basis} SCF did not converge in 80 cycles nor by a second-order "
            "solver: expected an energy change below "
            f"{level.energy_tolerance:g} Ha; check the structure or leave the molecule out"
        )
    return mean_field
