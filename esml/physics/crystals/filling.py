"""Filling of bands: occupations and the Fermi level.

    f(ε) = 1 / (1 + e^{(ε−μ)/σ}) ,      2 Σ_k w_k Σ_n f(ε_nk) = number of electrons

This is Fermi–Dirac smearing of width σ (eV), which is not a physical temperature.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 80
"""Number of bisections of the interval that contains the Fermi level."""


def occupations(energies: Tensor, fermi: Tensor | float, width: float) -> Tensor:
    """Return Fermi–Dirac occupations of states; an occupation of 1 means two electrons.

    Parameters
    ----------
    energies:
        Energies of the states, eV, of any shape.
    fermi:
        The Fermi level, eV.
    width:
        σ of the smearing, eV.

    Returns
    -------
    Occupations, 0 to 1, of the shape of ``energies``.
    """
    return torch.sigmoid((fermi - energies) / width)


def fermi_level(energies: Tensor, weights: Tensor, n_electrons: float, width: float) -> Tensor:
    """Return the Fermi level μ, eV.

    Its gradient follows from the fixed number of electrons, dμ = Σ w f' dε / Σ w f'.

    Parameters
    ----------
    energies:
        (K, n) energies of the states, eV.
    weights:
        (K,) weights of the k points.
    n_electrons:
        Number of electrons of the cell.
    width:
        σ of the smearing, eV.

    Raises
    ------
    ValueError
        If the bands cannot hold the electrons.
    """
    most = 2 * energies.shape[1]
    if not 0.0 < n_electrons < most:
        raise ValueError(
            f"{n_electrons:g} electrons in {energies.shape[1]} bands: expected more than 0 and "
            f"fewer than {most}; check the valence electrons of the elements"
        )

    def count(level: Tensor) -> Tensor:
        return 2.0 * (weights[:, None] * occupations(energies, level, width)).sum()

    with torch.no_grad():
        low, high = energies.min() - 40.0 * width, energies.max() + 40.0 * width
        for _ in range(STEPS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if count(middle) < n_electrons else (low, middle)
        level = 0.5 * (low + high)
        f = occupations(energies, level, width)
        slope = 2.0 * (weights[:, None] * f * (1.0 - f)).sum() / width
    # A Newton step carries the gradient; its value is subtracted. In a wide gap the slope is zero.
    step = (n_electrons - count(level)) / slope.clamp(min=1e-12)
    return level + step - step.detach()
