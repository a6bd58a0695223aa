"""Two-photon absorption: how strongly two photons of half the energy excite a state.

Between exact states, with w = r − ⟨0|r|0⟩,

    S_ab = Σ_k [⟨0|r_a|k⟩⟨k|w_b|f⟩ + ⟨0|r_b|k⟩⟨k|w_a|f⟩] / (ω_k − ω_f/2) .

The sum over all states k is the response of the orbitals to light of frequency ω = ω_f/2
(:mod:`esml.physics.solvers.driven`): amplitudes X_a, Y_a, with which the density changes by
D_a = C_o X_a C_vᵀ + C_v Y_aᵀ C_oᵀ and the field of the electrons by G[D_a], the kernel of singlets.
To second order the density changes by D_ab, within occupied and within virtual orbitals. In terms
of F_a = r_a + G[D_a] and the state's own D_f, X_f and Y_f,

    S_ab = −√2 { ⟨F_a, b⟩ + ⟨F_b, a⟩ + tr G[D_f]ᵀ D_ab } ,
    ⟨F, b⟩ = Σ_uv F_uv (X_bᵀ X_f + Y_fᵀ Y_b)_uv − Σ_ij F_ij (X_f X_bᵀ + Y_b Y_fᵀ)_ij ,
    D_ab,vv = Y_aᵀ X_b + Y_bᵀ X_a ,   D_ab,oo = −(X_a Y_bᵀ + X_b Y_aᵀ) .

This is the residue of the quadratic response function in time-dependent Hartree–Fock or density
functional theory (J. Olsen and P. Jørgensen, J. Chem. Phys. 82, 3235 (1985)), except that g_xc, the
derivative of the kernel with respect to the density, is missing: the model does not know it. At the
level of the labels, g_xc changes strengths by a few percent.

Without G, F_a = r_a. The elements ⟨F, b⟩ are then sums over states: of the elements between excited
states of :mod:`esml.analysis.transitions`, and of those to pairs of excitations,

    S_ab = √2 Σ_k { v_k,a [⟨k|r_b|f⟩ / (ω_k − ω) + ⟨0|r_b|k f⟩ / (ω_k + ω)] + (a ↔ b) } ,

where ⟨0|r|k f⟩ is the same element with X_k and Y_k exchanged. In this form, dipoles of excited
states change too much, and strengths are too large; compare sTD-DFT (M. de Wergifosse and
S. Grimme, J. Chem. Phys. 149, 024108 (2018)).

Moving the origin adds a multiple of 1 to r, which drops out of all commutators here: no result
depends on the origin, not even for ions.

Shape letters: S states, n orbitals, o and v occupied and virtual orbitals. One molecule.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from esml.physics.excitations import Excitations
from esml.physics.orbitals import stack_times
from esml.physics.response import Response, to_basis
from esml.physics.solvers.driven import Driven, Matrices, driven
from esml.physics.strategy import DEFAULT, Strategy
from esml.units import HARTREE


@torch.no_grad()
def two_photon_moments(
    response: Response,
    dipole_operator: Tensor,
    states: Excitations,
    strategy: Strategy = DEFAULT,
    relaxed: bool = True,
) -> Tensor:
    """Return S_ab (S, 3, 3) of the singlets of one molecule, atomic units; sign arbitrary.

    It is zero where there is no state. For singlets in the Tamm–Dancoff approximation, the response
    is that of A.

    Parameters
    ----------
    response:
        Response of one molecule, in double precision.
    dipole_operator:
        (1, 3, n, n) ⟨μ|r|ν⟩ in bohr.
    states:
        Singlets of the molecule.
    strategy:
        Thresholds of the response.
    relaxed:
        Whether the field of the electrons, G, follows the light. If not, elements between states
        are those of ``Result.excited_state_absorption``.

    Raises
    ------
    ValueError
        If ``response`` holds more than one molecule.
    ConvergenceError
        If the response does not converge.
    """
    exists = states.mask[0]
    X, Y = states.X[0, exists], states.Y[0, exists]
    matrices: Matrices = ("A+B", "A-B") if bool(states.stable[0]) else ("A", "A")
    light = driven(
        response,
        HARTREE * position(response, dipole_operator),
        0.5 * states.energies[0, exists],
        matrices,
        torch.cat([X, Y]),
        strategy,
    )
    moments = states.energies.new_zeros(len(exists), 3, 3)
    moments[exists] = contracted(response, dipole_operator, X, Y, light, light, relaxed)
    return moments


def position(response: Response, dipole_operator: Tensor) -> Tensor:
    """Return r (3, o, v) between occupied and virtual orbitals of one molecule, bohr."""
    half = stack_times(dipole_operator, response.virtual)
    between: Tensor = (response.occupied.mT[:, None] @ half)[0]
    return between


@torch.no_grad()
def contracted(
    response: Response,
    dipole_operator: Tensor,
    X: Tensor,
    Y: Tensor,
    first: Driven,
    second: Driven,
    relaxed: bool = True,
) -> Tensor:
    """Return S_ab (S, 3, 3), photon a of ``first`` and b of ``second``; their energies sum to ω_f.

    Parameters
    ----------
    response, dipole_operator, relaxed:
        As for :func:`two_photon_moments`.
    X, Y:
        (S, o, v) amplitudes of the states.
    first, second:
        Response to HARTREE · r, with one frequency for each state.
    """
    found = []
    for f in range(len(X)):
        a, b = (
            _Light.of(response, dipole_operator, x.X[f], x.Y[f], relaxed) for x in (first, second)
        )
        moments = a.acting(X[f], Y[f], b) + b.acting(X[f], Y[f], a).mT
        if relaxed:
            field = _field(response, X[f][None], Y[f][None])
            occupied, virtual = _blocks(response, field)
            moments = moments + _second_order(a, b, occupied[0], virtual[0])
        found.append(-math.sqrt(2.0) * moments)
    return torch.stack(found) if found else X.new_zeros(0, 3, 3)


class _Light:
    """Orbitals in light of three polarizations, and F within occupied and virtual orbitals."""

    def __init__(self, X: Tensor, Y: Tensor, occupied: Tensor, virtual: Tensor) -> None:
        self.X, self.Y = X, Y  # (3, o, v)
        self.occupied, self.virtual = occupied, virtual  # (3, o, o), (3, v, v)

    @classmethod
    def of(
        cls, response: Response, dipole_operator: Tensor, X: Tensor, Y: Tensor, relaxed: bool
    ) -> _Light:
        operator = dipole_operator[0]
        if relaxed:
            operator = operator + _field(response, X, Y)
        return cls(X, Y, *_blocks(response, operator))

    def acting(self, X: Tensor, Y: Tensor, other: _Light) -> Tensor:
        """Return ⟨F_a, b⟩ (3, 3) for a state X, Y (o, v): F_a of this light, b of the ``other``."""
        electron = other.X.mT @ X + Y.mT @ other.Y
        hole = X @ other.X.mT + other.Y @ Y.mT
        of_electron = torch.einsum("auv,buv->ab", self.virtual, electron)
        return of_electron - torch.einsum("aij,bij->ab", self.occupied, hole)


def _second_order(a: _Light, b: _Light, occupied: Tensor, virtual: Tensor) -> Tensor:
    """Return tr Gᵀ D_ab (3, 3); G is given within ``occupied`` (o, o) and ``virtual`` (v, v)."""
    # G_vv·(Y_bᵀ X_a) = (X_a G_vvᵀ)·Y_b, and so on: D_ab is never formed.
    to_b = a.X @ virtual.mT - occupied.mT @ a.X
    to_a = b.X @ virtual.mT - occupied.mT @ b.X
    return torch.einsum("aiu,biu->ab", to_b, b.Y) + torch.einsum("biu,aiu->ab", to_a, a.Y)


def _field(response: Response, X: Tensor, Y: Tensor) -> Tensor:
    """Return G[D] (P, n, n), hartree, of D = C_o X C_vᵀ + C_v Yᵀ C_oᵀ; X and Y (P, o, v)."""
    occupied, virtual = response.occupied, response.virtual
    density = to_basis(occupied, X[None], virtual) + to_basis(virtual, Y.mT[None], occupied)
    field = response.kernel.field(density.contiguous(), "singlet", in_place=False)
    return field[0].transpose(0, 1) / HARTREE


def _blocks(response: Response, operator: Tensor) -> tuple[Tensor, Tensor]:
    """Return the blocks of ``operator`` (P, n, n): occupied (P, o, o) and virtual (P, v, v)."""
    occupied, virtual = response.occupied[0], response.virtual[0]
    return occupied.mT @ operator @ occupied, virtual.mT @ operator @ virtual
