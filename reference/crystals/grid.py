"""Bloch functions on the uniform grid, computed once, and what follows by FFT and products.

PySCF evaluates the functions again in every SCF cycle, which takes most of its time. Here they are
kept (n_k × n_functions × n_points numbers); a cycle is a density, a potential and its matrices:

    ρ(r) = Σ_k w_k Σ_n f_nk |ψ_nk(r)|² ,
    v(r) = v_H[ρ] + v_xc[ρ]  by FFT ,      V_μν(k) = Ω/N_r Σ_r φ*_μk(r) v(r) φ_νk(r) .

The gradient of a GGA is that of the density on the grid (White and Bird, Phys. Rev. B 50, 4954
(1994)), so that the functional is a single local potential. Everything in atomic units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pyscf.dft import libxc
from pyscf.pbc import gto, tools
from pyscf.pbc.gto import pseudo
from pyscf.pbc.gto.pseudo import pp_int

from esml.physics.crystals.bloch import KPoints
from esml.typing import Array

Complex = NDArray[Any]

BLOCK = 20_000
"""Grid points treated together: what fits into the cache of a processor."""
EVALUATED_BYTES = 1.5e9
"""Most memory for functions evaluated at once."""
TINY = 1e-18
"""Smaller parts of a function are taken for zero: where H(k) is real, imaginary parts are rounding,
and products of numbers as small as those take some processors thirty times as long."""
LEAST_DENSITY = 1e-11
"""bohr⁻³; below, the gradient of the density does not count."""


class BlochGrid:
    """The grid of a cell with its Bloch functions at ``k_points``."""

    def __init__(self, cell: gto.Cell, k_points: KPoints, functional: str, single: bool) -> None:
        self.cell = cell
        self.k_points = cell.get_abs_kpts(k_points.fractional.numpy())  # (K, 3) 1/bohr
        self.weights: Array = k_points.weights.numpy()
        self.functional = functional
        self.mesh = [int(n) for n in cell.mesh]
        self.points = cell.get_uniform_grids(self.mesh)
        self.volume = float(cell.vol) / len(self.points)  # bohr³ of a point
        self.functions = evaluate(cell, self.points, self.k_points, single)  # K of (n_ao, n_points)
        self._waves = cell.get_Gv(self.mesh)
        self._coulomb = tools.get_coulG(cell, mesh=self.mesh)

    def _fourier(self, values: Array) -> Complex:
        result: Complex = scipy.fft.fftn(values.reshape(self.mesh)).ravel()
        return result

    def _real(self, values: Complex) -> Array:
        result: Array = scipy.fft.ifftn(values.reshape(self.mesh)).real.ravel()
        return result

    def core_hamiltonian(self) -> Complex:
        """(K, n_ao, n_ao) kinetic energy and pseudopotentials."""
        factors = self.cell.get_SI(mesh=self.mesh)
        local = -np.einsum("ag,ag->g", factors, pseudo.get_vlocG(self.cell, self._waves))
        potential = self._real(local) * len(self.points) / self.cell.vol
        kinetic = np.array(self.cell.pbc_intor("int1e_kin", 1, 1, self.k_points))
        nonlocal_part = np.array(pp_int.get_pp_nl(self.cell, self.k_points))
        result: Complex = kinetic + nonlocal_part + self.matrices(potential)
        return result

    def overlaps(self) -> Complex:
        """(K, n_ao, n_ao)."""
        return np.array(self.cell.pbc_intor("int1e_ovlp", 1, 1, self.k_points))

    def matrices(self, potential: Array) -> Complex:
        """(K, n_ao, n_ao) matrices of a local potential (n_points,)."""
        weighted = (potential * self.volume).astype(self.functions[0].real.dtype)
        found = []
        for functions in self.functions:
            total = np.zeros((len(functions),) * 2, complex)
            for part in self._parts():
                block = functions[:, part]
                total += (block.conj() * weighted[part]) @ block.T
            found.append(0.5 * (total + total.conj().T))
        return np.array(found)

    def density(self, coefficients: list[Complex], electrons: Array) -> Array:
        """(n_points,) density of states ``coefficients`` filled with ``electrons`` (K, n_ao)."""
        density = np.zeros(len(self.points))
        for functions, c, filling, weight in zip(
            self.functions, coefficients, electrons, self.weights, strict=True
        ):
            filled = filling > 1e-9
            states = np.ascontiguousarray(c[:, filled].T).astype(functions.dtype)
            for part in self._parts():
                waves = states @ functions[:, part]
                density[part] += weight * (filling[filled] @ (waves.real**2 + waves.imag**2))
        return density

    def potential(self, density: Array) -> tuple[Array, float]:
        """Hartree and exchange–correlation potential (n_points,), and the sum of their energies."""
        transformed = self._fourier(density)
        hartree = self._real(transformed * self._coulomb)
        energy = 0.5 * float(density @ hartree) * self.volume
        counted = np.maximum(density, 1e-14)
        if libxc.xc_type(self.functional) == "LDA":
            each, (local, *_) = libxc.eval_xc(self.functional, counted, deriv=1)[:2]
            return hartree + local, energy + float(density @ each) * self.volume
        gradient = np.array([self._real(1j * g * transformed) for g in self._waves.T])
        each, (local, sigma, *_) = libxc.eval_xc(
            self.functional, np.array([counted, *gradient]), deriv=1
        )[:2]
        sigma = np.where(density > LEAST_DENSITY, sigma, 0.0)
        flow = sum(
            1j * g * self._fourier(2.0 * sigma * d)
            for g, d in zip(self._waves.T, gradient, strict=True)
        )
        total = hartree + local - self._real(flow)
        return total, energy + float(density @ each) * self.volume

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self.points), BLOCK):
            yield slice(start, start + BLOCK)


def evaluate(cell: gto.Cell, points: Array, k_points: Array, single: bool) -> list[Complex]:
    """For each k the Bloch functions of ``cell`` at ``points``, (n_ao, n_points)."""
    dtype = np.complex64 if single else np.complex128
    found = [np.empty((cell.nao, len(points)), dtype) for _ in k_points]
    step = max(1000, int(EVALUATED_BYTES / (16 * cell.nao * len(k_points))))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        values = cell.pbc_eval_gto("GTOval", points[part], kpts=k_points)
        for functions, value in zip(found, values, strict=True):
            block = functions[:, part]
            block[:] = value.T
            for numbers in (block.real, block.imag):
                numbers[np.abs(numbers) < TINY] = 0.0
    return found
