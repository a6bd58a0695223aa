"""Sums over states on groups of orbitals, with gradients that are exact for degenerate states, too.

    s_g(k) = Σ_n F(ε_nk) Σ_{μ∈g} |C_μn(k)|² = tr_g F(H(k))

for a smooth function F. If F is the occupation, 2 Σ_k w_k s_g is the population of the group. Its
band centre is the quotient of two such sums: that of ε times a cut, divided by that of the cut. The
gradient of an eigenvector divides by differences of energies and is infinite where they vanish;
that of a trace is finite (Daleckii–Krein),

    ∂s_g/∂H = C [ (Cᴴ P_g C) ∘ D ] Cᴴ ,   D_nm = (F(ε_n) − F(ε_m)) / (ε_n − ε_m) ,  D_nn = F'(ε_n) .
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from esml.physics.crystals.bloch import Eigenstates, eigenstates

DEGENERATE = 1e-5
"""eV; for states closer than this, the mean of the derivatives replaces the quotient."""


@dataclass(frozen=True)
class Smooth:
    """A function of energy and its derivative."""

    value: Callable[[Tensor], Tensor]  # f(ε) of energies of any shape, eV
    derivative: Callable[[Tensor], Tensor]  # df/dε, of the same shape, 1/eV


def step_down(at: float, width: float) -> Smooth:
    """Return the step 1/(1 + e^{(ε − at)/width}): an occupation, or the cut of a band centre.

    Parameters
    ----------
    at:
        Energy of the step, eV.
    width:
        Width of the step, eV.

    Returns
    -------
    The function and its derivative.
    """

    def value(energies: Tensor) -> Tensor:
        return torch.sigmoid((at - energies) / width)

    def derivative(energies: Tensor) -> Tensor:
        f = value(energies)
        return -f * (1.0 - f) / width

    return Smooth(value, derivative)


def moment(of: Smooth) -> Smooth:
    """Return the product of ε and a function of ε."""
    return Smooth(
        lambda energies: energies * of.value(energies),
        lambda energies: of.value(energies) + energies * of.derivative(energies),
    )


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hamiltonians: Tensor,
        groups: Sequence[Tensor],
        functions: Sequence[Smooth],
        known: Eigenstates | None,
    ) -> tuple[Tensor, Tensor]:
        energies, states = eigenstates(hamiltonians) if known is None else known
        ctx.save_for_backward(energies, states)
        ctx.groups, ctx.functions = groups, functions
        weights = torch.stack([states[:, g].abs().square().sum(1) for g in groups])
        values = torch.stack([f.value(energies) for f in functions])
        return energies, torch.einsum("gkn,fkn->fkg", weights, values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_energy: Tensor, by_sum: Tensor) -> tuple[Tensor, None, None, None]:
        energies, states = ctx.saved_tensors
        apart = energies[:, :, None] - energies[:, None, :]
        near = apart.abs() < DEGENERATE
        inner = torch.diag_embed(by_energy).to(states.dtype)
        for f, function in enumerate(ctx.functions):
            value, slope = function.value(energies), function.derivative(energies)
            quotient = (value[:, :, None] - value[:, None, :]) / torch.where(near, 1.0, apart)
            mean = 0.5 * (slope[:, :, None] + slope[:, None, :])
            quotient = torch.where(near, mean, quotient)
            for g, group in enumerate(ctx.groups):
                projected = states[:, group].mH @ states[:, group]
                inner = inner + by_sum[f, :, g, None, None] * projected * quotient
        gradient = states @ inner @ states.mH
        return 0.5 * (gradient + gradient.mH), None, None, None


def spectral_sums(
    hamiltonians: Tensor,
    groups: Sequence[Tensor],
    functions: Sequence[Smooth],
    known: Eigenstates | None = None,
) -> tuple[Tensor, Tensor]:
    """Return energies (K, n) and the sums (F, K, G) of F functions over G groups of orbitals.

    Gradients of sums are exact; those of single energies are exact unless degenerate.

    Parameters
    ----------
    hamiltonians:
        (K, n, n) Hermitian, eV.
    groups:
        Indices of the orbitals of each group.
    functions:
        Functions of the energy, eV.
    known:
        Energies and states of the matrices, if known; computed if left out.
    """
    energies, sums = _Sums.apply(hamiltonians, groups, functions, known)  # type: ignore[no-untyped-call]
    return energies, sums
