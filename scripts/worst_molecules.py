"""Where the model fails most: S1 errors by molecule, and known against held-out cores.

    python scripts/worst_molecules.py [MODEL] [DATA] [--split test] [--most 10]

A held-out core is a chromophore that no training molecule contains (reference/molecules.py).
"""

from __future__ import annotations

import argparse

import numpy as np

import esml
from esml.dataset import read
from esml.training.evaluation import LEAST_WEIGHT
from esml.training.targets import structure
from reference.molecules import held_out_core, molecule_from_smiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("data", nargs="?", default="data/small")
    parser.add_argument("--split", default="test")
    parser.add_argument("--most", type=int, default=10)
    args = parser.parse_args()
    records = read(args.data, split=args.split)
    model = esml.load_model(args.model)
    errors: list[tuple[float, str, str]] = []
    known: dict[bool, list[float]] = {False: [], True: []}
    results = model.predict_many([structure(r) for r in records], errors="return")
    for record, result in zip(records, results, strict=True):
        if isinstance(result, esml.Failure):
            print(f"no prediction  {record.smiles} ({record.geometry}): {result.reason}")
        elif record.singlet_valence_weights[0] >= LEAST_WEIGHT:
            error = float(result.singlets.energies[0] - record.singlet_energies[0])
            errors.append((error, record.smiles, record.geometry))
            held_out = held_out_core(molecule_from_smiles(record.smiles)) is not None
            known[held_out].append(error)
    for error, smiles, geometry in sorted(errors, key=lambda e: -abs(e[0]))[: args.most]:
        print(f"{error:+8.3f} eV  {smiles} ({geometry})")
    for held_out, found in known.items():
        if found:
            size = np.abs(found)
            print(
                f"{'held-out' if held_out else 'known'} cores: S1 MAE {size.mean():.3f} eV, "
                f"median {np.median(size):.3f} eV, {len(found)} structures"
            )


if __name__ == "__main__":
    main()
