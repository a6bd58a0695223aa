"""Two-photon strengths beside those of the label's level, state by state.

    python -m scripts.accuracy.two_photon [NAME ...] --output two_photon.json
    python -m scripts.accuracy.two_photon --show two_photon.json

PySCF computes the labels (CAM-B3LYP/def2-SVP) at the same geometry: the residue of the full
quadratic response function, with the third derivative of the functional from finite differences.
``bare`` is the label without the response field of the electrons. A state of the model is compared
with the label state whose transition density in the minimal basis is most similar; ``likeness`` is
their overlap. Half the energy of a state may be close to a lower state: ``resonance`` is the
smallest distance in model and label, and strengths closer than 0.2 eV are not compared. Needs the
packages of the extra ``reference``, and one to ten minutes of a core for each molecule.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

import esml
from esml.analysis.two_photon import RESONANT, TwoPhotonAbsorption
from esml.predict.two_photon import two_photon
from esml.units import HARTREE
from scripts.accuracy.circular_dichroism import LIKE, geometry

MOLECULES: tuple[tuple[str, str, tuple[int, int, int, int] | None, float], ...] = (
    # name, SMILES, torsion to set and its angle
    ("formaldehyde", "C=O", None, 0.0),
    ("acrolein", "C=CC=O", (0, 1, 2, 3), 180.0),
    ("butadiene", "C=CC=C", (0, 1, 2, 3), 180.0),
    ("pyrrole", "c1cc[nH]c1", None, 0.0),
    ("3-aminoacrolein", "N/C=C/C=O", None, 0.0),
    ("p-nitroaniline", "Nc1ccc(cc1)[N+](=O)[O-]", None, 0.0),
)


@dataclass(frozen=True)
class Row:
    """One state of the model and the label state most like it."""

    molecule: str
    state: int
    energy: float  # eV
    strength: float  # δ, linear, atomic units
    label_energy: float
    label_strength: float
    label_bare: float
    resonance: float  # eV
    likeness: float


@dataclass(frozen=True)
class Label:
    """Excited states of a closed-shell molecule from PySCF."""

    energies: np.ndarray  # (S,) eV
    x: np.ndarray  # (S, o, v)
    y: np.ndarray

    @classmethod
    def of(cls, mean_field: Any, n_states: int) -> Label:
        """Compute the lowest singlets of a converged RHF or RKS object."""
        linear = mean_field.TDHF() if not hasattr(mean_field, "xc") else mean_field.TDDFT()
        linear.set(nstates=n_states, conv_tol=1e-8, verbose=0).kernel()
        x, y = (2.0**0.5 * np.array(part) for part in zip(*linear.xy, strict=True))
        return cls(linear.e * HARTREE, x, y)

    def moments(self, mean_field: Any, state: int) -> tuple[np.ndarray, np.ndarray]:
        """Return S (3, 3) of a state by quadratic response, with and without electrons' field."""
        x, y = self.x[state], self.y[state]
        occupied = mean_field.mo_coeff[:, mean_field.mo_occ > 0]
        virtual = mean_field.mo_coeff[:, mean_field.mo_occ == 0]
        mol, response = mean_field.mol, mean_field.gen_response(singlet=True, hermi=0)
        with mol.with_common_orig(tuple(mol.atom_coords().mean(0))):
            r = mol.intor("int1e_r", comp=3)

        def density(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.asarray(virtual @ x.T @ occupied.T + occupied @ y @ virtual.T)

        photon = 0.5 * self.energies[state] / HARTREE
        light = [_driven(mean_field, occupied.T @ axis @ virtual, photon, density) for axis in r]
        densities = np.array([density(*pair) for pair in (*light, (x, y))])
        fields = response(2.0 * densities)
        found = []
        for operators in (r + fields[:3], r):
            one = np.empty((3, 3))
            for i, operator in enumerate(operators):
                hole, electron = occupied.T @ operator @ occupied, virtual.T @ operator @ virtual
                for j, (xs, ys) in enumerate(light):
                    one[i, j] = (x * (xs @ electron.T - hole.T @ xs)).sum()
                    one[i, j] += (y * (ys @ electron - hole @ ys)).sum()
            found.append(-(2.0**0.5) * (one + one.T))
        third = _third_derivative(mean_field)
        for i, j in product(range(3), range(3)):
            (xi, yi), (xj, yj) = light[i], light[j]
            hole, electron = -(yi @ xj.T + yj @ xi.T), xi.T @ yj + xj.T @ yi
            second = occupied @ hole @ occupied.T + virtual @ electron @ virtual.T
            more = (fields[3] * second).sum() + third(densities[i], densities[j], densities[3])
            found[0][i, j] -= 2.0**0.5 * more
        return found[0], found[1]


def _driven(
    mean_field: Any, force: np.ndarray, photon: float, density: Callable[..., np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return X and Y (o, v) of the linear response to ``force`` (o, v) at a photon energy."""
    occupied = mean_field.mo_coeff[:, mean_field.mo_occ > 0]
    virtual = mean_field.mo_coeff[:, mean_field.mo_occ == 0]
    energies = mean_field.mo_energy
    gaps = energies[None, mean_field.mo_occ == 0] - energies[mean_field.mo_occ > 0, None]
    levels = np.stack([gaps - photon, gaps + photon])
    response = mean_field.gen_response(singlet=True, hermi=0)

    def product_of(vector: np.ndarray) -> np.ndarray:
        pair = vector.reshape(levels.shape)
        field = response(2.0 * density(*pair))
        change = np.stack([(virtual.T @ field @ occupied).T, occupied.T @ field @ virtual])
        return np.asarray(levels * pair + change).ravel()

    inverse = 1.0 / np.copysign(np.maximum(np.abs(levels), 0.02), levels).ravel()
    size = levels.size
    found, failed = gmres(
        LinearOperator((size, size), product_of, dtype=float),
        -np.stack([force, force]).ravel(),
        rtol=1e-5,
        restart=60,
        M=LinearOperator((size, size), lambda vector: inverse * vector, dtype=float),
    )
    if failed:
        raise RuntimeError(f"the response at {photon:.4f} hartree has not converged")
    x, y = found.reshape(levels.shape)
    return x, y


def _third_derivative(mean_field: Any) -> Callable[[np.ndarray, np.ndarray, np.ndarray], float]:
    """Return ∂³E_xc along three density changes, each given by half; zero for Hartree–Fock."""
    functional = getattr(mean_field, "xc", None)
    if functional is None:
        return lambda *_: 0.0
    density, integration = mean_field.make_rdm1(), mean_field._numint

    def potential(change: np.ndarray) -> np.ndarray:
        found: np.ndarray = integration.nr_rks(
            mean_field.mol, mean_field.grids, functional, density + change
        )[2]
        return found

    middle = potential(0.0 * density)

    def curvature(change: np.ndarray) -> np.ndarray:
        step = 1e-2 / np.abs(change).max()
        ends = potential(step * change) + potential(-step * change) - 2.0 * middle
        return np.asarray(ends / step**2)

    def third(first: np.ndarray, second: np.ndarray, last: np.ndarray) -> float:
        one, two, three = (part + part.T for part in (first, second, last))
        mixed = 0.25 * curvature(one + two)
        if not np.array_equal(one, two):
            mixed = mixed - 0.25 * curvature(one - two)
        return float(0.5 * (mixed * three).sum())

    return third


def strengths(energies: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return δ for linearly polarized light."""
    found: np.ndarray = TwoPhotonAbsorption(energies, moments).strengths
    return found


def resonances(energies: np.ndarray) -> np.ndarray:
    """Return the distance of half the energy of each state from the nearest lower state, eV."""
    return np.array([np.abs(0.5 * e - energies[: max(k, 1)]).min() for k, e in enumerate(energies)])


def rows(name: str, smiles: str, torsion: Any, angle: float, n_states: int = 4) -> list[Row]:
    """Pair the lowest states of the model with the label states that are most like them."""
    from pyscf.dft.numint import NumInt

    from reference.downfold import downfold
    from reference.record import project
    from reference.response import ActiveSpace, LabelStates
    from reference.scf import Level, ground_state, molecule

    atoms = geometry(smiles, torsion, angle)
    model = esml.load_model("camb3lyp")
    found = two_photon(model, atoms, n_states)
    waves = model.predict(atoms, n_states, n_triplets=1).wavefunctions()
    level = Level(virtual_cutoff=None, frozen_core=False)
    mean_field = ground_state(molecule(atoms, level.basis), level.functional, level)
    mean_field._numint = NumInt()  # PySCF's own response needs its own integration
    label = Label.of(mean_field, n_states + 3)
    space = ActiveSpace.of(mean_field, level)
    nothing = np.zeros((len(label.x), 3))
    states = LabelStates(label.energies, label.x, label.y, nothing, nothing[:, 0])
    minimal = downfold(mean_field)
    x, y, _ = project(states, space, minimal, mean_field.get_ovlp())
    o = minimal.n_occupied
    left, right = minimal.coefficients[:, :o], minimal.coefficients[:, o:]
    densities = np.einsum("ui,sia,va->suv", left, x + y, right)
    densities /= np.linalg.norm(densities, axis=(1, 2))[:, None, None]
    nearest, label_nearest = resonances(found.energies), resonances(label.energies)
    made = []
    for k in range(len(found.energies)):
        likeness = np.abs(np.einsum("suv,uv->s", densities, waves.transition_density(k)))
        match = int(likeness.argmax())
        both = np.array(label.moments(mean_field, match))
        full, bare = strengths(label.energies[[match, match]], both)
        made.append(
            Row(
                name,
                k + 1,
                float(found.energies[k]),
                float(found.strengths[k]),
                float(label.energies[match]),
                float(full),
                float(bare),
                float(min(nearest[k], label_nearest[match])),
                float(likeness[match]),
            )
        )
    return made


def show(found: list[Row]) -> str:
    """Format a readable table and a comparison of the strengths."""
    lines = [
        "| molecule | state | E | label E | δ | label δ | label δ, bare | likeness |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found:
        near = " (resonant)" if row.resonance < RESONANT else ""
        lines.append(
            f"| {row.molecule} | S{row.state}{near} | {row.energy:.2f} | {row.label_energy:.2f} | "
            f"{row.strength:.3g} | {row.label_strength:.3g} | {row.label_bare:.3g} | "
            f"{row.likeness:.2f} |"
        )
    same = [row for row in found if row.likeness >= LIKE and row.resonance >= RESONANT]
    strong = [row for row in same if max(row.strength, row.label_strength) >= 1.0]
    if strong:
        logs = np.log10([(row.strength, row.label_strength, row.label_bare) for row in strong])
        ours, bare = np.abs(logs[:, 0] - logs[:, 1]), np.abs(logs[:, 2] - logs[:, 1])
        lines += [
            "",
            f"{len(strong)} states of δ ≥ 1 and a likeness of at least {LIKE}, not resonant: the "
            f"model is off by a factor of {10 ** np.median(ours):.1f} (median; largest "
            f"{10 ** ours.max():.1f}), the label without the field of the electrons by "
            f"{10 ** np.median(bare):.1f} (largest {10 ** bare.max():.1f}).",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=[m[0] for m in MOLECULES])
    parser.add_argument("--output", type=Path, default=Path("two_photon.json"))
    parser.add_argument("--show", type=Path, help="print the table of an earlier run")
    arguments = parser.parse_args()
    if arguments.show:
        print(show([Row(**row) for row in json.loads(arguments.show.read_text())]))
        return
    found: list[Row] = []
    for molecule in (m for m in MOLECULES if m[0] in arguments.names):
        found += rows(*molecule)
        arguments.output.write_text(json.dumps([asdict(row) for row in found], indent=1))
        print(show(found[-4:]), flush=True)
    print(show(found))


if __name__ == "__main__":
    main()
