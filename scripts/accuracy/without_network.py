"""How far does the minimal-basis physics alone go? Reference Hamiltonians, no network.

    python -m scripts.accuracy.without_network DATA [--steps 300] [--no-relaxation]

The reference H, dipole operator and label amplitudes of a dataset go through
orbitals → excitations. The only parameters are one set of couplings per element, the exponents of γ
and the scale of the virtual energies, fitted to the training molecules and scored on the others.
What remains is the error of the representation itself. A trained model starts there and can do
better, because it may also change the Hamiltonian and let the couplings depend on the environment.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols
from torch.nn.functional import softplus

from esml.io.records import Record, read
from esml.model.graph import build_graph
from esml.model.hamiltonian import COUPLINGS, N_SIGNED, ONSITE, EffectiveHamiltonian
from esml.model.pairs import species
from esml.physics.basis import ELEMENTS, OrbitalLayout
from esml.physics.excitations import singlets, triplets
from esml.physics.interaction import distances
from esml.physics.orbitals import diagonalize
from esml.physics.response import Response
from esml.training.losses import exact_energies, match, rayleigh
from esml.training.scores import HIGHEST, LEAST_WEIGHT, Scores
from esml.training.targets import collate, structure

UNIT = float(np.log(np.expm1(1.0)))


class ReferenceBatch:
    """Reference orbitals and targets of some records."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        graph = build_graph([structure(r) for r in records], 1.0, torch.float64)
        self.layout = OrbitalLayout.build(graph.numbers, graph.molecule, graph.charges)
        self.targets = collate(records, LEAST_WEIGHT, HIGHEST + 0.5)
        self.orbitals = diagonalize(
            self.targets.hamiltonian, self.layout.n_orbitals, self.layout.n_occupied
        )

        self.kinds = species(graph.numbers)
        self.separation = distances(self.layout.pad_atoms(graph.positions))

    def response(self, model: EffectiveHamiltonian) -> Response:
        """Return the response with the couplings that ``model`` gives each element."""
        interaction = model.interaction(
            self.kinds, model.element_couplings[self.kinds], self.layout, self.separation
        )
        return Response(self.orbitals, interaction, self.layout)


def score(batches: list[ReferenceBatch], model: EffectiveHamiltonian) -> Scores:
    scores = Scores()
    with torch.no_grad():
        for batch in batches:
            response = batch.response(model)
            t = batch.targets
            found = {
                "singlets": (singlets(response, t.dipole_operator, 24), t.singlets),
                "triplets": (triplets(response, 24), t.triplets),
            }
            for multiplicity, (states, labels) in found.items():
                index = match(states, batch.orbitals, labels)
                use = (index >= 0) & (labels.energies <= HIGHEST)
                scores.add(f"{multiplicity} found", (index >= 0)[labels.mask].numpy())
                place = index.clamp(min=0)
                scores.add(
                    multiplicity, (states.energies.gather(1, place) - labels.energies)[use].numpy()
                )
                lowest = use[:, 0]
                scores.add(
                    f"lowest {multiplicity}",
                    (states.energies[:, 0] - labels.energies[:, 0])[lowest].numpy(),
                )
                if multiplicity == "singlets":
                    strengths = states.oscillator_strengths.gather(1, place)
                    bright = use & (labels.strengths > 0.1)
                    scores.add("strengths", (strengths - labels.strengths)[use].numpy())
                    scores.add("bright strengths", (strengths - labels.strengths)[bright].numpy())
    return scores


def start(relaxation: bool) -> EffectiveHamiltonian:
    """Make a model of element parameters only; without ``relaxation`` virtuals are not shifted."""
    model = EffectiveHamiltonian().double()
    if not relaxation:
        model.baseline[:, -N_SIGNED:] = 0.0
        keep = torch.ones_like(model.element_couplings)
        keep[:, -N_SIGNED:] = 0.0
        model.element_couplings.register_hook(lambda gradient: gradient * keep)
        torch.nn.init.zeros_(model.virtual_scale).requires_grad_(False)
    return model


def fit(
    model: EffectiveHamiltonian,
    batches: list[ReferenceBatch],
    steps: int,
    rng: np.random.Generator,
) -> None:
    """Fit the parameters of the elements; the second half of the steps also fits solved states."""
    optimizer = torch.optim.Adam([model.element_couplings, model.exponents, model.virtual_scale])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.03 * (1 - step / steps) + 1e-3
        batch = batches[int(rng.integers(len(batches)))]
        response = batch.response(model)
        singlet, _, _, _ = rayleigh(response, batch.targets.singlets, ("A+B", "A-B"))
        triplet, _, _, _ = rayleigh(response, batch.targets.triplets, ("triplet", "triplet"))
        loss = singlet + triplet
        if step > steps // 2:
            solved = singlets(response, batch.targets.dipole_operator, 20)
            loss = loss + exact_energies(solved, batch.orbitals, batch.targets.singlets)
            solved = triplets(response, 20)
            loss = loss + exact_energies(solved, batch.orbitals, batch.targets.triplets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def print_scores(results: dict[str, Scores]) -> None:
    print(f"{'MAE':<20}" + "".join(f"{name:>12}" for name in results))
    names = ("lowest singlets", "singlets", "lowest triplets", "triplets")
    for name in (*names, "strengths", "bright strengths"):
        line = f"{name:<20}" + "".join(f"{r.mae(name):>12.3f}" for r in results.values())
        bias = np.mean(results["held out"].values.get(name, [np.nan]))
        print(line + f"   bias {bias:+.3f}")
    for multiplicity in ("singlets", "triplets"):
        print(f"{multiplicity} found: {results['held out'].mae(f'{multiplicity} found'):.3f}")


def print_parameters(model: EffectiveHamiltonian) -> None:
    for row, number in enumerate(ELEMENTS):
        sized = model.baseline[row, len(ONSITE) : -N_SIGNED] * softplus(
            model.element_couplings[row, :-N_SIGNED] + UNIT
        )
        signed = model.baseline[row, -N_SIGNED:] + model.element_couplings[row, -N_SIGNED:]
        values = torch.cat([sized, signed]).tolist()
        entries = ", ".join(f"{n} {v:.2f}" for n, v in zip(COUPLINGS, values, strict=True))
        print(f"{chemical_symbols[number]}: {entries}")
    print("exponents", (1.0 + softplus(model.exponents)).tolist())
    print("virtual scale", model.virtual_scale.item())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument(
        "--most", type=int, default=400, help="largest number of training records to use"
    )
    parser.add_argument(
        "--no-relaxation", action="store_true", help="do not relax the virtual orbitals"
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    records = sorted(read(args.data), key=lambda r: (len(r.energies), r.key))
    training = [r for r in records if r.split == "train"]
    rng = np.random.default_rng(0)
    chosen = sorted(rng.permutation(len(training))[: args.most])
    training = [training[i] for i in chosen]
    other = [r for r in records if r.split in ("validation", "test")]
    groups = {
        name: [ReferenceBatch(part[k : k + 16]) for k in range(0, len(part), 16)]
        for name, part in (("training", training), ("held out", other))
    }
    model = start(not args.no_relaxation)
    fit(model, groups["training"], args.steps, rng)
    print_scores({name: score(batches, model) for name, batches in groups.items()})
    print_parameters(model)


if __name__ == "__main__":
    main()
