"""Two-photon moments: sums over all states, and static fields in a mean field of its own."""

from __future__ import annotations

import pytest
import torch
from systems import System, random_system, take
from torch import Tensor

from esml.physics import Strategy
from esml.physics.excitations import Excitations, singlets
from esml.physics.orbitals import diagonalize
from esml.physics.response import Response
from esml.physics.solvers.driven import Driven, Matrices, driven
from esml.physics.two_photon import contracted, position, two_photon_moments
from esml.units import HARTREE

ROOT = 2.0**0.5


@pytest.fixture(scope="module")
def system() -> System:
    return take(random_system([[6, 1, 1, 8]], seed=3), 0, [6, 1, 1, 8])


def between(response: Response, operator: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """(K, F, 3) of amplitudes (K, o, v) and (F, o, v): Σ O_ab (LᵀR)_ab − Σ O_ij (L Rᵀ)_ij."""
    o, v = response.occupied[0], response.virtual[0]
    of_electrons = torch.einsum("kia,fib,xab->kfx", left, right, v.mT @ operator[0] @ v)
    return of_electrons - torch.einsum("kia,fja,xij->kfx", left, right, o.mT @ operator[0] @ o)


def test_response_is_the_sum_over_all_states(system: System) -> None:
    response, r = system.response(), system.dipole_operator
    every = system.singlets()
    omega, X, Y = every.energies[0] / HARTREE, every.X[0], every.Y[0]
    moment = every.transition_dipoles[0]  # √2 Σ (X + Y) r
    states = system.singlets(5)
    found = two_photon_moments(response, r, states, relaxed=False)[:, :, :]
    half = 0.5 * states.energies[0] / HARTREE
    to_f = between(response, r, X, states.X[0]) + between(response, r, Y, states.Y[0])
    to_pair = between(response, r, Y, states.X[0]) + between(response, r, X, states.Y[0])
    one = torch.einsum("ka,kfb,kf->fab", moment, to_f, 1.0 / (omega[:, None] - half))
    two = torch.einsum("ka,kfb,kf->fab", moment, to_pair, 1.0 / (omega[:, None] + half))
    expected = one + two
    expected = expected + expected.mT
    assert float(expected.abs().min()) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_without_de_excitations_it_is_the_textbook_sum(system: System) -> None:
    """Tamm–Dancoff: Σ_k [⟨0|r_a|k⟩⟨k|r_b|f⟩ + (a ↔ b)] / (ω_k − ω_f/2) over all states k."""
    response, r = system.response(), system.dipole_operator
    values, vectors = torch.linalg.eigh(response.dense("A")[0])
    X = vectors.mT.reshape(-1, *response.singles_mask.shape[1:])
    half = 0.5 * values[:4]
    light = driven(response, HARTREE * position(response, r), half, ("A", "A"))
    zero = torch.zeros_like(X[:4])
    found = contracted(response, r, X[:4], zero, light, light, relaxed=False)
    moment = ROOT * X.flatten(1) @ position(response, r).flatten(1).mT
    gaps = (values[:, None] - half) / HARTREE
    expected = torch.einsum("ka,kfb,kf->fab", moment, between(response, r, X, X[:4]), 1.0 / gaps)
    torch.testing.assert_close(found, expected + expected.mT, rtol=1e-8, atol=1e-8)


class SelfConsistent:
    """A system whose own mean field is the kernel of its response: F[D] = H + G[D − D₀] + E·r.

    Without relaxation of virtual orbitals linear response is then that of this mean field, exactly.
    """

    def __init__(self, system: System) -> None:
        interaction = system.interaction
        still = {
            "relaxation": torch.zeros_like(interaction.relaxation),
            "virtual_scale": torch.zeros_like(interaction.virtual_scale),
        }
        values = {name: getattr(interaction, name) for name in interaction.__dataclass_fields__}
        self.interaction = type(interaction)(**(values | still))
        self.system = system
        self.plain = self.in_orbitals(system.hamiltonian)
        self.density = self.plain.occupied @ self.plain.occupied.mT

    def in_orbitals(self, fock: Tensor) -> Response:
        layout = self.system.layout
        orbitals = diagonalize(fock, layout.n_orbitals, layout.n_occupied)
        return Response(orbitals, self.interaction, layout)

    def within(self, field: Tensor) -> Response:
        """The response in a field (3,), hartree per e·bohr, converged to rounding."""
        bare = self.system.hamiltonian + HARTREE * torch.einsum(
            "x,mxuv->muv", field, self.system.dipole_operator
        )
        density = self.density
        for _ in range(200):
            change = (density - self.density)[:, :, None].contiguous()
            potential = self.plain.kernel.field(change, "singlet", False)[:, :, 0]
            found = self.in_orbitals(bare + 0.5 * (potential + potential.mT))
            moved = found.occupied @ found.occupied.mT - density
            if float(moved.abs().max()) < 1e-12:
                return found
            density = density + 0.7 * moved
        raise AssertionError("no self-consistent field")


def static_moments(model: SelfConsistent, states: Excitations, place: int) -> Tensor:
    """∂⟨0|r_a|f⟩/∂E_b (3, 3) of a state by the residue with photons of ω_f and of nothing.

    The response at ω_f is the sum over all states, without that of the state itself.
    """
    response, r = model.plain, model.system.dipole_operator
    energies = states.energies[0]
    omega = energies[place]
    r_ov = HARTREE * position(response, r).flatten(1)
    v = (states.X[0] + states.Y[0]).flatten(1) @ r_ov.mT
    resonant = 1.0 / (energies - omega)
    resonant[place] = 0.0
    other = 1.0 / (energies + omega)
    X = -torch.einsum("kov,ka->aov", states.X[0], resonant[:, None] * v)
    X -= torch.einsum("kov,ka->aov", states.Y[0], other[:, None] * v)
    Y = -torch.einsum("kov,ka->aov", states.Y[0], resonant[:, None] * v)
    Y -= torch.einsum("kov,ka->aov", states.X[0], other[:, None] * v)
    first = Driven(X[None], Y[None])
    still = driven(response, HARTREE * position(response, r), omega.new_zeros(1))
    one = states.X[0, place : place + 1], states.Y[0, place : place + 1]
    return contracted(response, r, *one, first, still)[0]


def test_photons_of_no_energy_are_a_static_field(system: System) -> None:
    """The residue is the derivative of the transition dipole by a field, all of it relaxed."""
    model = SelfConsistent(system)
    r = system.dipole_operator
    every = singlets(model.plain, r)
    step = 2e-5
    for place in (0, 2):
        found = static_moments(model, every, place)
        numeric = torch.zeros(3, 3, dtype=torch.float64)
        for axis in range(3):
            ends = []
            for sign in (1.0, -1.0):
                moved = singlets(model.within(sign * step * torch.eye(3)[axis].double()), r)
                dipole = moved.transition_dipoles[0, place]
                ends.append(dipole * torch.sign(dipole @ every.transition_dipoles[0, place]))
            numeric[:, axis] = (ends[0] - ends[1]) / (2 * step)
        # S has the sign of a sum over states, −∂/∂E for w = +E·r.
        torch.testing.assert_close(found, -numeric, rtol=2e-5, atol=2e-5 * float(found.abs().max()))


@pytest.mark.parametrize("matrices", [("A+B", "A-B"), ("A", "A")], ids=["full", "Tamm-Dancoff"])
def test_iterations_solve_the_same_equations(system: System, matrices: Matrices) -> None:
    response, r = system.response(), system.dipole_operator
    perturbation = HARTREE * position(response, r)
    states = system.singlets(4)
    frequencies = torch.cat([states.energies[0] / 2, states.energies[0, :1] + 0.01])
    exact = driven(response, perturbation, frequencies, matrices)
    for known in (None, torch.cat([states.X[0], states.Y[0]])):
        found = driven(response, perturbation, frequencies, matrices, known, Strategy(dense=0))
        torch.testing.assert_close(found.X, exact.X, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.Y, exact.Y, rtol=1e-4, atol=1e-5)


def test_the_origin_does_not_matter(system: System) -> None:
    response, r = system.response(), system.dipole_operator
    states = system.singlets(4)
    moved = r + 7.0 * torch.eye(r.shape[-1]).double()
    here, there = (two_photon_moments(response, each, states) for each in (r, moved))
    torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-9)


def test_one_molecule_at_a_time() -> None:
    batch = random_system([[1, 1], [6, 1]])
    with pytest.raises(ValueError, match="one molecule"):
        two_photon_moments(batch.response(), batch.dipole_operator, batch.singlets(1))
