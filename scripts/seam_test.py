"""How far the minimal-basis physics alone goes: reference Hamiltonians, no network.

The reference H, dipole operator and label amplitudes of a dataset go through
orbitals → excitations; the only parameters are one set of couplings per element and the two
exponents of γ, fitted on the training molecules and scored on the others. What remains is the
representation's own error: a trained model starts here and can go below it, since it may also move
the Hamiltonian and let the couplings depend on the environment.

    python scripts/seam_test.py DATA [--steps 300]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import softplus

from esml.basis import OrbitalLayout
from esml.dataset import Record, read
from esml.excitations import Response, singlets, triplets
from esml.graph import build_graph
from esml.hamiltonian import COUPLINGS, ONSITE, EffectiveHamiltonian
from esml.interaction import Interaction, distances, gamma
from esml.network import species
from esml.orbitals import diagonalize
from esml.training.evaluation import HIGHEST, LEAST_WEIGHT, Scores
from esml.training.losses import exact_energies, match, rayleigh
from esml.training.targets import collate, structure

UNIT = float(np.log(np.expm1(1.0)))


class Couplings(torch.nn.Module):
    """Couplings of each element, positive multiples of the model's baseline, and two exponents."""

    def __init__(self) -> None:
        super().__init__()
        baseline = EffectiveHamiltonian().baseline[:, len(ONSITE) :].double()
        self.register_buffer("baseline", baseline)
        self.change = torch.nn.Parameter(torch.zeros_like(baseline))
        self.exponents = torch.nn.Parameter(torch.full((2,), UNIT, dtype=torch.float64))
        self.virtual_shift = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def table(self) -> torch.Tensor:
        return self.baseline * softplus(self.change + UNIT)

    def forward(self, layout: OrbitalLayout, positions: torch.Tensor, limit: float) -> Interaction:
        values = self.table()[species(layout.numbers)]
        padded = dict(zip(COUPLINGS, layout.pad_atoms(values).unbind(2), strict=True))
        separation = distances(layout.pad_atoms(positions))
        exponents = 1.0 + softplus(self.exponents)
        kernels = []
        for name, far, exponent in zip(COUPLINGS, (1.0, limit), exponents, strict=False):
            hardness = padded.pop(name)
            mean = 0.5 * (hardness[:, :, None] + hardness[:, None, :])
            kernels.append(gamma(separation, mean, far, exponent))
        return Interaction(coulomb=kernels[0], exchange=kernels[1], **padded)


class Batch:
    """Reference orbitals and targets of some records."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        graph = build_graph([structure(r) for r in records], 1.0, torch.float64)
        self.positions = graph.positions
        self.layout = OrbitalLayout.build(graph.numbers, graph.molecule, graph.charges)
        self.targets = collate(records, LEAST_WEIGHT, HIGHEST + 0.5)
        self.orbitals = diagonalize(
            self.targets.hamiltonian, self.layout.n_orbitals, self.layout.n_occupied
        )

    def response(self, couplings: Couplings, limit: float) -> Response:
        """The response in orbitals whose virtuals are moved: ε → ε + shift₀ + shift₁ (ε − 3 eV)."""
        orbitals = self.orbitals
        virtual = orbitals.fock_virtual
        eye = torch.eye(virtual.shape[1], dtype=virtual.dtype)
        shift = couplings.virtual_shift
        moved = virtual + shift[0] * eye + shift[1] * (virtual - 3.0 * eye)
        return Response(
            replace(orbitals, fock_virtual=moved),
            couplings(self.layout, self.positions, limit),
            self.layout,
        )


def score(batches: list[Batch], couplings: Couplings, limit: float) -> Scores:
    scores = Scores()
    with torch.no_grad():
        for batch in batches:
            response = batch.response(couplings, limit)
            t = batch.targets
            found = {
                "singlets": (singlets(response, t.dipole_operator, 24), t.singlets),
                "triplets": (triplets(response, 24), t.triplets),
            }
            for kind, (states, labels) in found.items():
                index = match(states, batch.orbitals, labels)
                use = (index >= 0) & (labels.energies <= HIGHEST)
                scores.add(f"{kind} found", (index >= 0)[labels.mask].numpy())
                place = index.clamp(min=0)
                scores.add(
                    kind, (states.energies.gather(1, place) - labels.energies)[use].numpy()
                )
                lowest = use[:, 0]
                scores.add(
                    f"lowest {kind}",
                    (states.energies[:, 0] - labels.energies[:, 0])[lowest].numpy(),
                )
                if kind == "singlets":
                    strengths = states.oscillator_strengths.gather(1, place)
                    bright = use & (labels.strengths > 0.1)
                    scores.add("strengths", (strengths - labels.strengths)[use].numpy())
                    scores.add(
                        "bright strengths", (strengths - labels.strengths)[bright].numpy()
                    )
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--most", type=int, default=400, help="training records used")
    parser.add_argument("--limit", type=float, default=0.65, help="long-range exact exchange")
    parser.add_argument("--fixed-virtuals", action="store_true", help="leave the virtuals alone")
    args = parser.parse_args()
    torch.manual_seed(0)
    records = sorted(read(args.data), key=lambda r: (len(r.energies), r.key))
    training = [r for r in records if r.split == "train"]
    rng = np.random.default_rng(0)
    chosen = sorted(rng.permutation(len(training))[: args.most])
    training = [training[i] for i in chosen]
    other = [r for r in records if r.split in ("validation", "test")]
    groups = {
        name: [Batch(part[k : k + 16]) for k in range(0, len(part), 16)]
        for name, part in (("training", training), ("held out", other))
    }
    couplings = Couplings()
    couplings.virtual_shift.requires_grad_(not args.fixed_virtuals)
    optimizer = torch.optim.Adam(couplings.parameters(), lr=0.02)
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.03 * (1 - step / args.steps) + 1e-3
        batch = groups["training"][int(rng.integers(len(groups["training"])))]
        response = batch.response(couplings, args.limit)
        singlet, _, _, _ = rayleigh(response, batch.targets.singlets, ("A+B", "A-B"))
        triplet, _, _, _ = rayleigh(response, batch.targets.triplets, ("triplet", "triplet"))
        loss = singlet + triplet
        if step > args.steps // 2:
            solved = singlets(response, batch.targets.dipole_operator, 20)
            loss = loss + exact_energies(solved, batch.orbitals, batch.targets.singlets)
            solved = triplets(response, 20)
            loss = loss + exact_energies(solved, batch.orbitals, batch.targets.triplets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{'MAE':<20}" + "".join(f"{name:>12}" for name in groups))
    results = {name: score(batches, couplings, args.limit) for name, batches in groups.items()}
    names = ("lowest singlets", "singlets", "lowest triplets", "triplets")
    for name in (*names, "strengths", "bright strengths"):
        line = f"{name:<20}" + "".join(f"{r.mae(name):>12.3f}" for r in results.values())
        bias = np.mean(results["held out"].values.get(name, [np.nan]))
        print(line + f"   bias {bias:+.3f}")
    for kind in ("singlets", "triplets"):
        print(f"{kind} found: {results['held out'].mae(f'{kind} found'):.3f}")
    table = couplings.table().detach().numpy().round(3).tolist()
    exponents = (1.0 + softplus(couplings.exponents)).tolist()
    print(json.dumps({"couplings": table, "exponents": exponents,
                      "virtual_shift": couplings.virtual_shift.tolist()}))  # fmt: skip


if __name__ == "__main__":
    main()
