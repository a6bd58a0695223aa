"""Structure → effective Hamiltonian, dipole operator and two-electron interaction.

    H_μν = H⁰_μν − ½ x(R_AB) γ^J(R_AB) P_μν − δ_μν Σ_B c(R_AB) γ^K(R_AB) q_B

(μ on A, ν on B). The network predicts H⁰, whose blocks between atoms are multiplied by the switch
f: 1 up to ``pair_onset`` and 0 from ``pair_cutoff``. The rest is a mean field: nonlocal exchange
between atoms and the potential of the charges q, with γ from constants of the elements. The first
step takes the density matrix P and the charges from H⁰, the second from the H of the first step
(``mean_field_steps``), so that charges screen each other. At long range, both have the exact form:
molecules longer than any in the training data keep the right coupling. At short range, they are
learned fractions, x = x₀ f + 1 − f and c = c₀ f + 1 − f. The share of the net charge near an atom
that c₀ removes acts through the mean γ (``net_charge``), so that levels of an ion shift by its full
charge. H⁰ can therefore stay local, while P and q describe how delocalized the electrons are and
how much charge a distant group withdraws. Parts of a molecule that do not touch are filled
separately (``esml.model.parts``). ``mean_field`` in the configuration chooses among these terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import expm1, log
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from esml.model.backbones import BackboneConfig, build
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.baselines import DEFAULTS
from esml.model.blocks import Blocks
from esml.model.graph import Graph
from esml.model.local import Local
from esml.model.mean_field import MeanField
from esml.model.pairs import Pairs, species
from esml.model.parts import cuts
from esml.model.tensors import switch
from esml.physics.basis import ELEMENTS, N_SLOTS, OrbitalLayout
from esml.physics.interaction import Interaction, distances, gamma, triplet_exchange
from esml.physics.medium import Medium
from esml.units import BOHR

ONSITE = ("s", "p", "sp_dipole")
"""Names of the on-site baselines: ε_s and ε_p (eV), ⟨s|x|p_x⟩ (bohr)."""

SP_DIPOLE = ONSITE.index("sp_dipole")

COUPLINGS = (
    "hardness_coulomb",
    "hardness_exchange",
    "singlet_dipole",
    "singlet_quadrupole",
    "triplet_monopole",
    "triplet_dipole",
    "triplet_quadrupole",
    "exchange_dipole",
    "exchange_quadrupole",
    "relaxation_s",
    "relaxation_p",
)
"""Names of an atom's two-electron parameters (eV): η^K, η^J, and those of ``Interaction``."""

RESPONSE_WEIGHTS = (
    "element_couplings",
    "couplings.weight",
    "couplings.bias",
    "virtual_scale",
    "triplet_shift",
)
"""Weights that act on excited states alone: orbitals, charges and dipoles do not depend on them."""

N_SIGNED = 2
"""This many of the last ones may have either sign; the network shifts these by addition."""

_EXPONENTS = (1.75, 2.32)  # y of γ^K and γ^J, fitted with the couplings in ``baselines``
_VIRTUAL_SCALE = -0.18
_NEAR_EXCHANGE = 0.8  # x₀
_NEAR_COULOMB = 0.35  # c₀

_UNIT = log(expm1(1.0))  # softplus(_UNIT) = 1


class HamiltonianConfig(BaseModel):
    """Configuration that determines an ``EffectiveHamiltonian`` up to its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["hamiltonian"] = "hamiltonian"  # which configuration this is
    network: BackboneConfig = Field(
        default_factory=NetworkConfig, description="the backbone, see NetworkConfig"
    )
    pair_onset: float = Field(
        default=4.0, ge=0, description="distance where pair blocks begin to fade, Å"
    )
    pair_cutoff: float = Field(
        default=6.0, gt=0, description="distance where pair blocks are zero, Å"
    )
    pair_channels: int = Field(
        default=32, ge=1, le=1024, description="vectors and tensors of a pair"
    )
    hidden: int = Field(default=64, ge=1, le=4096, description="hidden scalars of atoms and pairs")
    products: int = Field(
        default=4, ge=1, le=256, description="products of vectors summed in a p–p block"
    )
    exchange_limit: float = Field(
        default=0.65, gt=0, description="long-range fraction of exact exchange, α + β of CAM-B3LYP"
    )
    mean_field: Literal["none", "far", "full"] = Field(
        default="full",
        description="far: exchange beyond the pair cutoff; full: everywhere, and electrostatics",
    )
    net_charge: bool = Field(
        default=True,
        description="the net charge around an atom acts in full, not scaled by near_coulomb",
    )
    mean_field_steps: int = Field(
        default=2, ge=1, le=16, description="iterations of the mean field"
    )

    @model_validator(mode="after")
    def _check_switch(self) -> HamiltonianConfig:
        if self.pair_onset >= self.pair_cutoff:
            raise ValueError(
                f"pair_onset ({self.pair_onset}) must be below pair_cutoff ({self.pair_cutoff})"
            )
        return self

    @property
    def cutoff(self) -> float:
        """Distance (Å) within which a graph must list its pairs."""
        return max(self.network.cutoff, self.pair_cutoff)


@dataclass(frozen=True)
class Operators:
    """Operators of a batch of molecules, padded to the sizes in ``layout``."""

    layout: OrbitalLayout
    hamiltonian: Tensor  # (M, n, n) eV
    dipole: Tensor  # (M, 3, n, n) ⟨μ|r|ν⟩ in bohr, δ_μν R_A included
    interaction: Interaction
    features: Tensor  # (N, C) rotation-invariant features of the atoms
    unsettled: frozenset[int] = frozenset()  # molecules whose parts take electrons from each other

    def double(self) -> Operators:
        """Return the same operators in double precision, except for ``features``."""
        hamiltonian, dipole = self.hamiltonian.double(), self.dipole.double()
        interaction = self.interaction.double()
        return replace(self, hamiltonian=hamiltonian, dipole=dipole, interaction=interaction)


class EffectiveHamiltonian(nn.Module):
    """A graph → ``Operators``, differentiable in positions and weights.

    Untrained, the Hamiltonian is a Slater–Koster model with levels for each element, and all
    interaction parameters are the elements' baselines (``set_baseline``): it learns deviations.
    """

    baseline: Tensor
    triplet_shift: Tensor  # () τ, eV: not trained, but fitted to best estimates

    def __init__(self, config: HamiltonianConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HamiltonianConfig()
        features = config.network.channels
        self.network = build(config.network)
        self.blocks = Blocks(
            features,
            config.hidden,
            config.pair_channels,
            config.products,
            config.network.radial,
            config.pair_cutoff,
        )
        self.couplings_hidden = nn.Linear(features, config.hidden)
        self.couplings = nn.Linear(config.hidden, len(COUPLINGS))
        # Deviations that are the same for all atoms of an element: a fit of global parameters.
        self.element_couplings = nn.Parameter(torch.zeros(len(ELEMENTS), len(COUPLINGS)))
        nn.init.zeros_(self.couplings.weight)
        nn.init.zeros_(self.couplings.bias)
        # γ = λC / [R^y + …]^(1/y), y = 1 + softplus(·), for γ^K and γ^J.
        start = [log(expm1(y - 1.0)) for y in _EXPONENTS]
        self.exponents = nn.Parameter(torch.tensor(start))
        self.virtual_scale = nn.Parameter(torch.tensor(_VIRTUAL_SCALE))
        if config.mean_field == "full":
            self.near_exchange = nn.Parameter(torch.tensor(_NEAR_EXCHANGE))
            self.near_coulomb = nn.Parameter(torch.tensor(_NEAR_COULOMB))
        table = torch.tensor([DEFAULTS[z] for z in ELEMENTS])
        self.register_buffer("baseline", table)
        self.register_buffer("triplet_shift", torch.zeros(()))

    @property
    def cutoff(self) -> float:
        """Distance (Å) within which a graph must list its pairs."""
        return self.config.cutoff

    def set_baseline(self, values: Mapping[int, Mapping[str, float]]) -> None:
        """Replace baselines: atomic number → name in ``ONSITE`` or ``COUPLINGS`` → value.

        Values that are not named stay. Except for the relaxations, the sign of a coupling is that
        of its baseline; its size is learned, and if its baseline is zero, it stays zero. Raises
        ValueError for unknown elements and names, and if a hardness is not positive.
        """
        names = ONSITE + COUPLINGS
        for number, entries in values.items():
            if number not in ELEMENTS:
                raise ValueError(f"element {number} is not among the supported {list(ELEMENTS)}")
            for name, value in entries.items():
                if name not in names:
                    raise ValueError(f"{name!r} is not a baseline; known are {', '.join(names)}")
                if name.startswith("hardness") and value <= 0:
                    raise ValueError(f"{name} of element {number} must be positive, got {value}")
                self.baseline[ELEMENTS.index(number), names.index(name)] = value

    @torch.no_grad()
    def local(self, graph: Graph) -> Local:
        """Return the part of ``graph`` that many derivatives share: its features and pieces."""
        return Local.of(self.network, self.blocks, Pairs.of(graph), species(graph.numbers))

    def forward(
        self, graph: Graph, medium: Medium | None = None, local: Local | None = None
    ) -> Operators:
        """Return operators of every molecule of ``graph``, in a ``medium`` or in vacuum.

        If its ``local`` part is given, derivatives end there. Raises ValueError if pairs are listed
        to less than ``cutoff`` or in another dtype.
        """
        self._check(graph)
        config = self.config
        kinds = species(graph.numbers)
        layout = OrbitalLayout.build(graph.numbers, graph.molecule, graph.charges)
        pairs = Pairs.of(graph)
        if local is None:
            x = self.network(pairs, kinds)
            pieces = self.blocks.pieces(x, pairs, kinds)
        else:
            x, pieces = local.features, local.pieces
        baseline = self.baseline[kinds]
        envelope = switch(pairs.distance, config.pair_onset, config.pair_cutoff)
        near, dipolar, relaxing = self.blocks(pieces, graph.edge_reverse, envelope, baseline)
        assembled = layout.assembly(pairs.source, pairs.target)
        hamiltonian = assembled(near.onsite, near.offsite)
        eye = torch.eye(N_SLOTS, dtype=x.dtype, device=x.device)[:, :, None]
        dipole = assembled(
            dipolar.onsite + eye * (graph.positions / BOHR)[:, None, None, :], dipolar.offsite
        ).movedim(-1, 1)
        separation = distances(layout.pad_atoms(graph.positions))
        relaxation = assembled(relaxing.onsite, relaxing.offsite)
        reaction = outer = None
        if medium is not None:
            reaction = medium.reaction_field(separation, layout)
            outer = medium.potential(graph.positions, dipole, baseline[:, SP_DIPOLE], layout)
        unsettled: frozenset[int] = frozenset()
        if config.mean_field != "none" or medium is not None:
            mean_field = self._mean_field(kinds, separation, layout)
            steps = config.mean_field_steps if config.mean_field != "none" else 0
            mean_field = mean_field.settled(hamiltonian, steps)
            hamiltonian, potential = mean_field.in_vacuum(hamiltonian, steps)
            if medium is not None:
                static = None if reaction is None else reaction.static
                hamiltonian, potential = mean_field.in_medium(hamiltonian, potential, static, outer)
            unsettled = mean_field.unsettled(hamiltonian)
            # The scale of virtual levels must not act on the potential, which only shifts levels.
            relaxation = relaxation - self.virtual_scale * potential
        deviation = self.deviations(kinds, x[:, 0])
        interaction = self.interaction(kinds, deviation, layout, separation, relaxation)
        if reaction is not None:
            screened = interaction.coulomb + reaction.optical
            interaction = replace(interaction, coulomb=screened)
        return Operators(layout, hamiltonian, dipole, interaction, x[:, 0], unsettled)

    def _check(self, graph: Graph) -> None:
        if graph.cutoff < self.cutoff:
            raise ValueError(
                f"the graph lists pairs within {graph.cutoff} Å where {self.cutoff} Å is expected: "
                "build it with build_graph(structures, cutoff=model.cutoff)"
            )
        if graph.positions.dtype != self.baseline.dtype:
            raise ValueError(
                f"positions are {graph.positions.dtype} where the weights are "
                f"{self.baseline.dtype}: use graph.to(dtype={self.baseline.dtype})"
            )

    def hidden_couplings(self, scalars: Tensor) -> Tensor:
        """Return the input (N, hidden) of ``couplings``, from ``scalars`` (N, C) of atoms."""
        hidden: Tensor = self.couplings_hidden(scalars)
        return silu(hidden)

    def deviations(self, kinds: Tensor, scalars: Tensor) -> Tensor:
        """Return deviations δ (N, 11) of the ``COUPLINGS`` of atoms from the elements' baselines.

        δ is a constant of the element plus a function of the atom's ``scalars`` (N, C).
        """
        learned: Tensor = self.couplings(self.hidden_couplings(scalars))
        return self.element_couplings[kinds] + learned

    def interaction(
        self,
        kinds: Tensor,
        deviation: Tensor,
        layout: OrbitalLayout,
        separation: Tensor,
        relaxation: Tensor | None = None,
    ) -> Interaction:
        """Return the two-electron parameters of atoms of ``kinds`` (N,) at ``separation``.

        With δ the ``deviation`` (N, 11) of each atom, a parameter is its baseline times
        softplus(δ + ln(e − 1)), which is always positive and 1 for δ = 0. Parameters that may have
        either sign (the last ``N_SIGNED``) are their baseline plus δ. Hardnesses of a pair are
        averaged. The relaxation of the virtual orbitals is ``relaxation`` (M, n, n), if given, plus
        one value for the s and one for the p orbitals of an atom.
        """
        baseline = self.baseline[kinds][:, len(ONSITE) :]
        sized = baseline[:, :-N_SIGNED] * softplus(deviation[:, :-N_SIGNED] + _UNIT)
        signed = baseline[:, -N_SIGNED:] + deviation[:, -N_SIGNED:]
        values = layout.pad_atoms(sized)
        padded = dict(zip(COUPLINGS[:-N_SIGNED], values.unbind(2), strict=True))
        exponents = 1.0 + softplus(self.exponents)
        limits = (1.0, self.config.exchange_limit)
        kernels = []
        for name, limit, exponent in zip(COUPLINGS, limits, exponents, strict=False):
            kernels.append(_kernel(separation, padded.pop(name), limit, exponent))
        shells = torch.cat([signed[:, :1], signed[:, 1:].expand(-1, N_SLOTS - 1)], 1)
        slots = layout.slot_mask
        place = layout.molecule[:, None] * layout.n_max + layout.slot_orbital
        flat = shells.new_zeros(layout.n_molecules * layout.n_max)
        flat = flat.index_add(0, place[slots], shells[slots])
        diagonal = torch.diag_embed(flat.view(layout.n_molecules, layout.n_max))
        return Interaction(
            coulomb=kernels[0],
            exchange=kernels[1],
            virtual_scale=self.virtual_scale,
            triplet_exchange=triplet_exchange(kernels[1], separation, self.triplet_shift),
            relaxation=diagonal if relaxation is None else relaxation.to(diagonal) + diagonal,
            **padded,
        )

    def _mean_field(self, kinds: Tensor, separation: Tensor, layout: OrbitalLayout) -> MeanField:
        """Return the mean field of atoms of ``kinds`` (N,) at ``separation`` (M, K, K).

        Its γ uses constants of the elements. The γ of the response is learned separately, because
        values that are right for excitations need not be right for the ground state.
        """
        config = self.config
        hardness = layout.pad_atoms(self.baseline[kinds][:, len(ONSITE) : len(ONSITE) + 2])
        coulomb, exchange = (
            _kernel(separation, eta, limit, exponent)
            for eta, limit, exponent in zip(
                hardness.unbind(2), (1.0, config.exchange_limit), _EXPONENTS, strict=True
            )
        )
        near = switch(separation, config.pair_onset, config.pair_cutoff)
        full = config.mean_field == "full"
        fraction = self.near_exchange * near * (separation > 0) if full else 0.0
        present = config.mean_field != "none"
        exchange = (1.0 - near + fraction) * exchange if present else torch.zeros_like(exchange)
        owner = layout.orbital_atom
        width = owner.shape[1]
        rows = torch.gather(exchange, 1, owner[:, :, None].expand(-1, -1, exchange.shape[2]))
        return MeanField(
            layout,
            exchange=torch.gather(rows, 2, owner[:, None, :].expand(-1, width, -1)),
            coulomb=self._coulomb(coulomb, near, layout) if full else None,
            undamped=coulomb,
            parted=cuts(separation, layout, near, config.pair_onset),
        )

    def _coulomb(self, coulomb: Tensor, near: Tensor, layout: OrbitalLayout) -> Tensor:
        """Return c γ^K of the mean field (M, K, K).

        With ``net_charge``, the share of near charges that c₀ < 1 removes acts through the mean γ̄
        of γ^K around both atoms: c = c₀ then damps differences between near charges only, while
        their sum, the net charge of an ion, acts in full.
        """
        damped = (1.0 - near + self.near_coulomb * near) * coulomb
        if not self.config.net_charge:
            return damped
        weight = near * layout.atom_mask[:, :, None] * layout.atom_mask[:, None, :]
        mean = (weight * coulomb).sum(2) / weight.sum(2).clamp(min=1.0)
        return damped + (1.0 - self.near_coulomb) * weight * 0.5 * (
            mean[:, :, None] + mean[:, None, :]
        )


def _kernel(separation: Tensor, hardness: Tensor, limit: float, exponent: float | Tensor) -> Tensor:
    """Return γ (M, K, K) between atoms of ``hardness`` (M, K), exactly symmetric.

    It is symmetrized because powers of equal numbers may round differently at different places of
    an array, and iterations cannot converge beyond the asymmetry of their matrix.
    """
    mean = 0.5 * (hardness[:, :, None] + hardness[:, None, :])
    found = gamma(separation, mean, limit, exponent)
    return 0.5 * (found + found.mT)


def from_config(config: Mapping[str, Any]) -> EffectiveHamiltonian:
    """Build an untrained model from ``HamiltonianConfig.model_dump()``; refuse unknown keys."""
    return EffectiveHamiltonian(HamiltonianConfig.model_validate(config))
