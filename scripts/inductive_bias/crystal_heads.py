"""The same question for crystals: d-band centres and densities of states straight from features.

    python -m scripts.inductive_bias.crystal_heads [--data data/alloys] [--epochs 300] [--seeds 0 1]

Either backbone of the package, equivariant or unconstrained, on the periodic pairs of the training
crystals of the model of crystals; a direct head gives each atom's d-band centre and its share of
the density of states. Prints Markdown: errors on the test split beside those of the Hamiltonian.
The unconstrained backbone sees every crystal in a new orientation in every step. Settings were
chosen on the validation crystals.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from esml.io.records import CrystalRecord, read
from esml.model.backbones.equivariant import Network, NetworkConfig
from esml.model.backbones.transformer import Transformer, TransformerConfig, random_rotations
from esml.model.crystals import periodic_pairs
from esml.model.pairs import Pairs
from esml.physics.crystals import Bands, k_mesh
from esml.predict.model_files import solid_model
from esml.training.crystals.scores import DOS_TOP, scores
from scripts.pages import table

CUTOFF = 5.0
"""Å, of one layer; there are two."""
CHANNELS = 48
ENERGIES = np.linspace(-8.0, DOS_TOP, 201)
HIDDEN = 128
RATE, DECAY = 2e-3, 1e-3


@dataclass(frozen=True)
class Example:
    """One crystal and what is asked of it."""

    source: Tensor  # (E,)
    target: Tensor  # (E,)
    vectors: Tensor  # (E, 3) Å
    kinds: Tensor  # (N,) row of the element
    centres: Tensor  # (N,) eV
    dos: Tensor  # (G,) states/eV/cell

    @classmethod
    def of(cls, record: CrystalRecord, elements: Sequence[int]) -> Example:
        """From a record of a model's ``elements``."""
        pairs = periodic_pairs(record.cell, record.positions, CUTOFF)
        order = _order(pairs.first, pairs.second, pairs.images)
        mesh = k_mesh(record.dense_divisions.tolist())
        width = 0.272  # eV, that of the reference
        bands = Bands.of(record.hamiltonian, mesh, float(record.n_electrons), width)
        return cls(
            source=pairs.first[order],
            target=pairs.second[order],
            vectors=pairs.vectors[order].float(),
            kinds=torch.tensor([elements.index(z) for z in record.numbers.tolist()]),
            centres=torch.as_tensor(record.d_centres).float(),
            dos=bands.density_of_states(torch.as_tensor(ENERGIES)).float(),
        )


def _order(first: Tensor, second: Tensor, images: Tensor) -> Tensor:
    """Pairs by atoms, and images so that the k-th of i→j is the reverse of the k-th of j→i."""
    sign = torch.where(first <= second, 1, -1)[:, None]
    keys = torch.cat([first[:, None], second[:, None], sign * images], 1).numpy()
    return torch.as_tensor(np.lexsort(keys.T[::-1]))


class DirectCrystals(nn.Module):
    """d-band centre of every atom, and the density of states as a sum over atoms."""

    def __init__(self, backbone: Network | Transformer, n_elements: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.hidden = nn.Linear(CHANNELS, HIDDEN)
        self.centre = nn.Linear(HIDDEN, 1)
        self.dos = nn.Linear(HIDDEN, len(ENERGIES))
        self.usual = nn.Parameter(torch.zeros(n_elements), requires_grad=False)  # eV
        self.usual_dos = nn.Parameter(torch.zeros(n_elements, len(ENERGIES)))

    def forward(self, example: Example, turn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(N,) centres, eV, and (G,) states/eV/cell."""
        vectors = example.vectors if turn is None else example.vectors @ turn.T
        pairs = Pairs.apart(example.source, example.target, vectors)
        x = silu(self.hidden(self.backbone(pairs, example.kinds)[:, 0]))
        centres = self.usual[example.kinds] + self.centre(x)[:, 0]
        return centres, softplus(self.usual_dos[example.kinds] + self.dos(x)).sum(0)


def backbone(kind: str) -> Network | Transformer:
    """An untrained backbone of ``kind``."""
    if kind == "unconstrained":
        return Transformer(TransformerConfig(channels=CHANNELS, width=64, cutoff=CUTOFF))
    return Network(NetworkConfig(channels=CHANNELS, layers=2, cutoff=CUTOFF))


def fitted(
    kind: str, examples: Sequence[Example], n_elements: int, epochs: int, seed: int
) -> DirectCrystals:
    """A model trained on ``examples``, one crystal per step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = DirectCrystals(backbone(kind), n_elements)
    kinds = torch.cat([e.kinds for e in examples])
    centres = torch.cat([e.centres for e in examples])
    for row in range(n_elements):
        if bool((kinds == row).any()):
            model.usual.data[row] = centres[kinds == row].mean()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
    steps = epochs * len(examples)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for index in rng.permutation(len(examples)):
            example = examples[index]
            turn = random_rotations(1)[0] if kind == "unconstrained" else None
            found, dos = model(example, turn)
            loss = (found - example.centres).abs().mean()
            loss = loss + (dos - example.dos).abs().sum() / example.dos.sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            pace.step()
    return model.eval()


@torch.no_grad()
def errors(model: DirectCrystals, examples: Sequence[Example]) -> tuple[float, float]:
    """Mean absolute error of centres (meV, over atoms), and L1 of densities of states (%)."""
    centres, dos = [], []
    for example in examples:
        found, density = model(example)
        centres.append((found - example.centres).abs())
        dos.append(float((density - example.dos).abs().sum() / example.dos.sum()))
    return 1e3 * float(torch.cat(centres).mean()), 100.0 * float(np.mean(dos))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("data/alloys")])
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    solids = solid_model()
    records = read(arguments.data, kind=CrystalRecord)
    split = {
        name: [Example.of(r, solids.elements) for r in records if r.split == name]
        for name in ("train", arguments.split)
    }
    rows = []
    for kind in ("equivariant", "unconstrained"):
        for seed in arguments.seeds:
            began = perf_counter()
            model = fitted(kind, split["train"], len(solids.elements), arguments.epochs, seed)
            weights = sum(p.numel() for p in model.parameters())
            centre, dos = errors(model, split[arguments.split])
            rows.append(
                [f"direct, {kind}", str(seed), f"{weights:,}", f"{centre:.0f}", f"{dos:.1f}",
                 f"{perf_counter() - began:.0f}"]
            )  # fmt: skip
    found = scores(solids, [r for r in records if r.split == arguments.split]).summary()
    weights = sum(p.numel() for p in solids.model.parameters())
    rows.append(
        ["Hamiltonian", "", f"{weights:,}", f"{1e3 * found['d_centre_mae_eV']:.0f}",
         f"{100 * found['dos_l1']:.1f}", ""]
    )  # fmt: skip
    held_out = len(split[arguments.split])
    print(f"{len(split['train'])} training crystals, {held_out} of the split {arguments.split}\n")
    heading = ["model", "seed", "numbers", "d centre (meV)", "DOS, L1 (%)", "s"]
    print(table(heading, rows))


if __name__ == "__main__":
    main()
