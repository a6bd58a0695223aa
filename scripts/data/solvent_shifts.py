"""Compute how solvents shift excited states at the level of the labels.

    python -m scripts.data.solvent_shifts data/solvents/shifts.json

CAM-B3LYP/def2-SVP at GFN2-xTB geometries, in vacuum and in the IEF-PCM continuum of three solvents
(ground state: static ε; response: n², see ``reference.continuum``). Molecules are computed in the
order of their size. Existing entries are kept; run the same command again to continue. ``--check``
compares one solvent shift with PySCF's own TDDFT, without density fitting or a virtual cutoff.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from esml.io.files import write_whole
from esml.units import HARTREE
from reference.continuum import in_continuum
from reference.geometries import GeometryError, from_smiles
from reference.response import ActiveSpace, LabelStates, excitations
from reference.scf import CalculationError, Level, ground_state, molecule

Array = NDArray[np.float64]

LEVEL = Level(n_singlets=8, n_triplets=4)

SOLVENTS = {
    "cyclohexane": (2.0165, 1.4266),
    "acetone": (20.493, 1.3588),
    "water": (78.355, 1.3330),
}
"""Static permittivity and refractive index of each solvent."""

MOLECULES = {
    "formaldehyde": "C=O",
    "thioformaldehyde": "C=S",
    "formamide": "NC=O",
    "nitrosomethane": "CN=O",
    "acetaldehyde": "CC=O",
    "nitromethane": "C[N+](=O)[O-]",
    "glyoxal": "O=CC=O",
    "acrolein": "C=CC=O",
    "acrylonitrile": "C=CC#N",
    "acetone": "CC(C)=O",
    "acetamide": "CC(N)=O",
    "acetate": "CC(=O)[O-]",
    "thioacetamide": "CC(N)=S",
    "trans-azomethane": "C/N=N/C",
    "aminoacrolein": "N/C=C/C=O",
    "trimethine cyanine": "N/C=C/C=[NH2+]",
    "nitroethenamine": "N/C=C/[N+](=O)[O-]",
    "malonaldehyde anion": "[O-]/C=C/C=O",
    "furan": "c1ccoc1",
    "pyrrole": "c1cc[nH]c1",
    "imidazole": "c1c[nH]cn1",
    "imidazolium": "c1c[nH+]c[nH]1",
    "pyridine": "c1ccncc1",
    "pyridinium": "c1cc[nH+]cc1",
    "pyrazine": "c1cnccn1",
    "pyrimidine": "c1cncnc1",
    "pyridazine": "c1ccnnc1",
    "benzene": "c1ccccc1",
    "aniline": "Nc1ccccc1",
    "ketene": "C=C=O",
    "diazomethane": "C=[N+]=[N-]",
    "formamidinium": "NC=[NH2+]",
    "nitrosamine": "NN=O",
    "propynal": "C#CC=O",
    "urea": "NC(N)=O",
    "N-methylformamide": "CNC=O",
    "thioacrolein": "C=CC=S",
    "hydroxyacrolein": "O/C=C/C=O",
    "aminoacrylonitrile": "N/C=C/C#N",
    "methyl vinyl ketone": "C=CC(C)=O",
    "crotonaldehyde": "C/C=C/C=O",
    "phenol": "Oc1ccccc1",
    "aminopentadienal": "N/C=C/C=C/C=O",
    "pentamethine cyanine": "N/C=C/C=C/C=[NH2+]",
    "2-pyridone": "O=c1cccc[nH]1",
    "4-pyridone": "O=c1cc[nH]cc1",
    "phenolate": "[O-]c1ccccc1",
    "anilinium": "[NH3+]c1ccccc1",
    "uracil": "O=c1cc[nH]c(=O)[nH]1",
    "cytosine": "Nc1cc[nH]c(=O)n1",
    "benzaldehyde": "O=Cc1ccccc1",
    "benzonitrile": "N#Cc1ccccc1",
    "p-benzoquinone": "O=C1C=CC(=O)C=C1",
    "tropone": "O=c1cccccc1",
    "thymine": "Cc1c[nH]c(=O)[nH]c1=O",
    "nitrobenzene": "O=[N+]([O-])c1ccccc1",
    "p-aminobenzonitrile": "N#Cc1ccc(N)cc1",
    "p-nitroaniline": "Nc1ccc([N+](=O)[O-])cc1",
    "p-nitrophenolate": "[O-]c1ccc([N+](=O)[O-])cc1",
    "adenine": "Nc1ncnc2[nH]cnc12",
    "dimethylaminobenzonitrile": "CN(C)c1ccc(C#N)cc1",
    "coumarin": "O=c1ccc2ccccc2o1",
    "pyridinium phenolate": "[O-]c1ccc(cc1)-[n+]1ccccc1",
}
"""Names and SMILES of the molecules, roughly by size."""


class StatesInMedium:
    """Ground state and excited states of a molecule in one medium."""

    def __init__(
        self, atoms: Atoms, medium: Callable[[Any], Any] | None = None, level: Level = LEVEL
    ) -> None:
        self.mean_field = ground_state(
            molecule(atoms, level.basis), level.functional, level, medium
        )
        solvent = getattr(self.mean_field, "with_solvent", None)
        self.space: ActiveSpace
        self.space, self.singlets, self.triplets = excitations(
            self.mean_field, level, None if solvent is None else solvent.screening
        )

    def likeness(self, other: StatesInMedium) -> Array:
        """Return |overlap| (S, S') of the singlets' normalized transition densities."""
        overlap = self.mean_field.get_ovlp()

        def densities(space: ActiveSpace, states: LabelStates) -> Array:
            both = states.x + states.y
            found = np.einsum("mi,sia,na->smn", space.occupied, both, space.virtual, optimize=True)
            size = np.sqrt(np.einsum("sia,sia->s", both, both))
            scaled: Array = found / size[:, None, None]
            return scaled

        ours = densities(self.space, self.singlets)
        theirs = densities(other.space, other.singlets)
        found: Array = np.abs(
            np.einsum("smn,mp,nq,tpq->st", ours, overlap, overlap, theirs, optimize=True)
        )
        return found

    def plain(self, vacuum: StatesInMedium | None) -> dict[str, Any]:
        """Return the numbers to store; energies in eV, dipoles in e·bohr."""
        mean_field = self.mean_field
        with mean_field.mol.with_common_orig((0.0, 0.0, 0.0)):
            dipole = np.asarray(mean_field.dip_moment(unit="AU", verbose=0))
        n = int(np.count_nonzero(mean_field.mo_occ))
        found = {
            "total_energy": round(mean_field.e_tot * HARTREE, 5),
            "dipole": dipole.round(4).tolist(),
            "homo": round(float(mean_field.mo_energy[n - 1]) * HARTREE, 4),
            "singlets": self.singlets.energies.round(4).tolist(),
            "strengths": self.singlets.oscillator_strengths.round(5).tolist(),
            "transition_dipoles": self.singlets.transition_dipoles.round(4).tolist(),
            "triplets": self.triplets.energies.round(4).tolist(),
        }
        if vacuum is not None:
            found["likeness"] = self.likeness(vacuum).round(3).tolist()
        return found


def computed(name: str, smiles: str) -> dict[str, Any]:
    """Compute everything that is stored of one molecule."""
    atoms = from_smiles(smiles)
    vacuum = StatesInMedium(atoms)
    media = {"vacuum": vacuum.plain(None)}
    for solvent, (epsilon, index) in SOLVENTS.items():
        medium = partial(in_continuum, epsilon=epsilon, refractive_index=index)
        media[solvent] = StatesInMedium(atoms, medium).plain(vacuum)
    return {
        "name": name,
        "smiles": smiles,
        "charge": int(atoms.info.get("charge", 0)),
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.round(6).tolist(),
        "media": media,
    }


def run(path: Path) -> None:
    """Compute what is missing in ``path``, and rewrite the file after every molecule."""
    header = {
        "level": LEVEL.functional
        + "/"
        + LEVEL.basis
        + ", density fitting, TDDFT; "
        + ("IEF-PCM, linear response at the square of the refractive index"),
        "settings": json.loads(LEVEL.to_json()),
        "geometry": "GFN2-xTB minimum",
        "versions": {package: version(package) for package in ("pyscf", "tblite")},
        "solvents": {name: list(values) for name, values in SOLVENTS.items()},
    }

    def missing(name: str, known: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        if known is None:
            yield computed(name, MOLECULES[name])

    fill(path, header, MOLECULES, missing, lambda entry: entry["media"]["vacuum"]["singlets"][:3])


def fill(
    path: Path,
    header: dict[str, Any],
    names: Iterable[str],
    missing: Callable[[str, dict[str, Any] | None], Iterable[dict[str, Any]]],
    shown: Callable[[dict[str, Any]], Iterable[object]],
) -> None:
    """Complete the entries of ``path``, one molecule at a time, rewriting the file after each.

    ``missing`` yields the entry of a molecule, starting from the existing one, if any, whenever
    something was added to it; a line prints the values from ``shown``. Molecules that cannot be
    computed are named and left out.
    """
    entries: dict[str, dict[str, Any]] = {}
    if path.exists():
        entries = {entry["name"]: entry for entry in json.loads(path.read_text())["molecules"]}
    for name in names:
        try:
            for entry in missing(name, entries.get(name)):
                entries[name] = entry
                lines = ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries.values())
                head = json.dumps(header, indent=1)[:-2]
                write_whole(path, f'{head},\n "molecules": [\n{lines}\n]}}\n'.encode())
                print(name, *shown(entry), flush=True)
        except (CalculationError, GeometryError) as error:
            print(f"{name}: {error}", flush=True)


def check(smiles: str) -> None:
    """Print the S1 energies of the data and of PySCF's own TDDFT with PCM, in vacuum and water."""
    from pyscf import dft
    from pyscf.solvent.pcm import PCM

    atoms = from_smiles(smiles)
    epsilon = SOLVENTS["water"][0]
    mol = molecule(atoms, LEVEL.basis)
    for medium in (None, partial(in_continuum, epsilon=epsilon, refractive_index=1.78**0.5)):
        mean_field = dft.RKS(mol)
        mean_field.xc = LEVEL.functional
        if medium is not None:
            continuum = PCM(mol)
            continuum.method, continuum.eps = "IEF-PCM", epsilon
            mean_field = mean_field.PCM(continuum)
        mean_field.conv_tol = 1e-10
        mean_field.kernel()
        theirs = mean_field.TDDFT()
        theirs.nstates = 3
        theirs.kernel()
        ours = StatesInMedium(atoms, medium).singlets.energies[:3]
        print("vacuum" if medium is None else "water", ours, theirs.e * HARTREE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, nargs="?", default=Path("shifts.json"))
    parser.add_argument(
        "--check", metavar="SMILES", help="only compare this molecule with PySCF's own TDDFT"
    )
    args = parser.parse_args()
    if args.check:
        check(args.check)
    else:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        run(args.output)


if __name__ == "__main__":
    main()
