"""Fewest-switches surface hopping: amplitudes along a trajectory, and hops between surfaces.

The wave function Σ_J c_J |J⟩ follows

    dc_J/dt = −(i/ħ) E_J c_J − Σ_K τ_JK c_K ,   τ_JK = ⟨J|∂_R K⟩ · v ,

and in each step, a trajectory on surface a hops to k with the probability

    P_ak = max(0, ∫ 2 Re(c_a* τ_ak c_k) dt) / |c_a|² ,

if the motion along the coupling vector d_ak has enough kinetic energy:

    v' = v + γ d_ak/m ,   ½ Σ m v'² + E_k = ½ Σ m v² + E_a .

Between hops, amplitudes of the other states decay with the time constant
ħ/|E_k − E_a| (1 + C/E_kin), C = 0.1 hartree.

References: J. C. Tully, J. Chem. Phys. 93, 1061 (1990); G. Granucci and M. Persico, J. Chem. Phys.
126, 134114 (2007), for the decay.

Shape letters: S states, N atoms. Energies in eV, times in fs, lengths in Å, masses in u.
"""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import NDArray

from esml.typing import Array
from esml.units import HARTREE

Amplitudes = NDArray[np.complex128]

HBAR = units._hbar * 1e15 / units._e
"""ħ in eV fs."""

KINETIC = units._amu * (1e-10 / 1e-15) ** 2 / units._e
"""Unit of m v², u (Å/fs)², in eV."""

SUBSTEPS = 50
"""Number of electronic steps in each step of the nuclei."""

DECAY = 0.1 * HARTREE
"""C of the decay of amplitudes, eV."""


def propagated(
    amplitudes: Amplitudes, energies: Array, couplings: Array, time: float
) -> tuple[Amplitudes, Array]:
    """Return the amplitudes after a step, and the population that flows during it.

    Parameters
    ----------
    amplitudes
        (S,) c at the beginning.
    energies, couplings
        (2, S) eV and (2, S, S) τ, 1/fs, antisymmetric: values at the beginning and the end of the
        step, interpolated linearly.
    time
        Length of the step, fs.

    Returns
    -------
    (S,) c, of the same norm, and (S, S) ∫ 2 Re(c_a* τ_ak c_k) dt, the flow from a to k.
    """
    step = time / SUBSTEPS
    share = ((np.arange(SUBSTEPS) + 0.5) / SUBSTEPS)[:, None, None]
    tau = (1.0 - share) * couplings[0] + share * couplings[1]
    levels = (1.0 - share[:, :, 0]) * energies[0] + share[:, :, 0] * energies[1]
    levels = levels - levels.mean(1, keepdims=True)
    w, u = np.linalg.eigh(levels[:, :, None] * np.eye(len(amplitudes)) / HBAR - 1j * tau)
    flow = np.zeros(tau.shape[1:])
    for values, vectors, coupling in zip(w, u, tau, strict=True):
        inner = vectors.conj().T @ amplitudes
        middle = vectors @ (np.exp(-0.5j * values * step) * inner)
        amplitudes = vectors @ (np.exp(-1j * values * step) * inner)
        flow += 2.0 * step * (middle.conj()[:, None] * coupling * middle).real
    return amplitudes, flow


def hop_target(active: int, population: float, flow: Array, draw: float) -> int:
    """Return the state to hop to from ``active``, or ``active`` itself.

    Parameters
    ----------
    active
        The state a on whose surface the trajectory is.
    population
        |c_a|² at the beginning of the step.
    flow
        (S, S) the flow that ``propagated`` returns.
    draw
        A random number from 0 to 1.
    """
    chances = np.clip(flow[active], 0.0, None) / max(population, 1e-12)
    chances[active] = 0.0
    above = np.flatnonzero(np.cumsum(chances) > draw)
    return int(above[0]) if len(above) else active


def rescaled(velocities: Array, masses: Array, direction: Array, cost: float) -> Array | None:
    """Return the velocities after a hop, which costs kinetic energy.

    Two changes along the direction conserve energy; the smaller one is made.

    Parameters
    ----------
    velocities:
        (N, 3) Å/fs.
    masses:
        (N,) u.
    direction:
        (N, 3) direction along which velocities change.
    cost:
        Energy that the hop takes, eV.

    Returns
    -------
    (N, 3) Å/fs, or None if the motion along the direction has too little energy.
    """
    push = direction / masses[:, None]
    half = 0.5 * KINETIC * float((push * direction).sum())  # of γ²
    linear = KINETIC * float((velocities * direction).sum())
    inside = linear**2 - 4.0 * half * cost
    if half == 0.0 or inside < 0.0:
        return None
    root = np.sqrt(inside)
    factor = (-linear + (root if linear >= 0 else -root)) / (2.0 * half)
    changed: Array = velocities + factor * push
    return changed


def decohered(
    amplitudes: Amplitudes, active: int, energies: Array, kinetic: float, time: float
) -> Amplitudes:
    """Return the amplitudes after the decay of all states but the active one.

    Parameters
    ----------
    amplitudes:
        (S,) amplitudes before.
    active:
        The state on whose surface the nuclei move.
    energies:
        (S,) energies of the states, eV.
    kinetic:
        Kinetic energy of the nuclei, eV.
    time:
        Duration of the decay, fs.

    Returns
    -------
    (S,) amplitudes.
    """
    gaps = np.abs(energies - energies[active])
    rates = gaps / HBAR / (1.0 + DECAY / max(kinetic, 1e-12))
    found: Amplitudes = amplitudes * np.exp(-rates * time)
    found[active] = amplitudes[active]
    others = float((np.abs(np.delete(found, active)) ** 2).sum())
    size = abs(found[active])
    if size > 0.0:
        found[active] *= np.sqrt(max(0.0, 1.0 - others)) / size
    return found
