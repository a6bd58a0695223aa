"""Vibronic bands of rigid hydrocarbons beside measured ones: positions and heights of maxima.

    python -m scripts.accuracy.vibronic [NAME ...] [--picture docs/figures/vibronic.png]
    python -m scripts.accuracy.vibronic --forbidden [--picture docs/figures/herzberg_teller.png]

Relaxes each molecule with GFN2-xTB, computes its modes there (6N + 1 forces) and the band of its
first singlet in vacuum. Heights are relative to the 0-0 maximum, so that the tables compare shapes:
a solvent shifts the band as a whole. Prints Markdown. Needs the extras ``smiles`` and ``plot``, and
about a minute of one core for each molecule.

Measured maxima and molar absorption coefficients (L mol⁻¹ cm⁻¹) were read off the digital spectra
of PhotochemCAD: M. Taniguchi and J. S. Lindsey, Photochem. Photobiol. 94, 290 (2018); H. Du, R. A.
Fuh, J. Li, L. A. Corkan and J. S. Lindsey, ibid. 68, 141 (1998).

``--forbidden`` predicts the two bands of benzene without a transition dipole, whose intensity comes
from vibrations. Measured oscillator strengths: E. Pantos, J. Philis and A. Bolovinos, J. Mol.
Spectrosc. 72, 36 (1978); lines of the first band: J. H. Callomon, T. M. Dunn and I. M. Mills,
Philos. Trans. R. Soc. A 259, 499 (1966).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.integrate import trapezoid

import esml
from esml.analysis.absorption import bands
from esml.analysis.normal_modes import normal_modes
from esml.analysis.spectrum import STRENGTH_PER_AREA, WAVENUMBERS
from esml.analysis.vibronic import VibronicBand, VibronicSpectrum, vibronic_spectrum
from esml.io import from_smiles
from esml.io.geometry import METHOD, xtb_calculator
from esml.io.provenance import ReadingOptions
from esml.predict.vibronic import vibronic_bands
from esml.typing import Array
from esml.units import HC
from scripts.pages import table

FWHM = 0.08
"""Width of each line (eV), about that of the measured 0-0 band of anthracene."""


@dataclass(frozen=True)
class MeasuredBand:
    """The first band of a molecule in solution."""

    smiles: str
    solvent: str
    maxima: tuple[tuple[float, float], ...]  # nm and ε, from the 0-0 maximum on


MEASURED = {
    "anthracene": MeasuredBand(
        "c1ccc2cc3ccccc3cc2c1",
        "cyclohexane",
        ((376.25, 8898), (356.25, 9700), (339.25, 6563), (323.25, 3440), (309.25, 1515)),
    ),
    "tetracene": MeasuredBand(
        "c1ccc2cc3cc4ccccc4cc3cc2c1",
        "benzene",
        ((475.0, 10000), (445.0, 8972), (419.0, 4689), (397.0, 2380), (377.0, 1157)),
    ),
    "perylene": MeasuredBand(
        "c1ccc2cccc3c2c1-c1cccc2cccc-3c12",
        "cyclohexane",
        ((435.75, 38500), (408.25, 28096), (387.0, 13014), (371.0, 4997)),
    ),
}


BENZENE = "c1ccccc1"

FORBIDDEN = {"B2u": "0.0013", "B1u": "0.09"}
"""Measured oscillator strengths of the bands of benzene without a transition dipole."""

LINES = {
    "6⁰₁": (-1, 0, -608),
    "6¹₀": (1, 0, 521),
    "6¹₀1¹₀": (1, 1, 1444),
    "6¹₀1²₀": (1, 2, 2367),
}
"""Lines of the first band of benzene: quanta of mode 6, which contributes most intensity, and of
mode 1, the breathing mode, and measured distance (cm⁻¹) from the 0-0 line, which is not seen."""

ZERO_ZERO = 38086.0
"""Position of the 0-0 line, cm⁻¹."""

NARROW = 0.02
"""Width of each line of benzene vapour in the picture (eV)."""


def forbidden(model: esml.Surrogate) -> tuple[VibronicSpectrum, esml.Result]:
    """Predict the four lowest bands of benzene with vibrational intensity, and vertical states."""
    atoms = from_smiles(BENZENE, ReadingOptions(geometry="xtb")).atoms
    ground = xtb_calculator(0)
    modes = normal_modes(atoms, ground, METHOD)
    found = vibronic_bands(model, atoms, ground, 4, modes, herzberg_teller=True)
    return vibronic_spectrum(found, NARROW), model.predict(atoms, 4)


def integrated(curve: VibronicSpectrum, band: VibronicBand) -> float:
    """Return the oscillator strength 4.319·10⁻⁹ ∫ ε dν̃ of a band of the curve."""
    alone = replace(curve, transitions=(band,)).at(curve.energies)
    return STRENGTH_PER_AREA * WAVENUMBERS * float(trapezoid(alone, curve.energies))


def forbidden_rows(curve: VibronicSpectrum, result: esml.Result) -> list[tuple[object, ...]]:
    """Make rows of strengths of the bands of ``FORBIDDEN``, without and with vibrations."""
    found: list[tuple[object, ...]] = []
    for band, character in zip(curve.transitions, result.characters(), strict=True):
        symmetry = character.symmetry.text
        if symmetry in FORBIDDEN:
            lent = band.borrowed(curve.temperature)
            places = band.modes.energies * WAVENUMBERS
            shares = sorted(
                (
                    (lent[np.abs(places - place) < 1.0].sum() / lent.sum(), place)
                    for place in places
                ),
                reverse=True,
            )
            main = dict.fromkeys(f"{place:.0f} ({share:.0%})" for share, place in shares)
            found.append(
                (
                    symmetry,
                    f"{band.vertical:.2f}",
                    f"{band.strength:.4f}",
                    f"{integrated(curve, band):.4f}",
                    FORBIDDEN[symmetry],
                    ", ".join([*main][:3]),
                    "yes" if band.warnings else "no",
                )
            )
    return found


def line_rows(curve: VibronicSpectrum) -> list[tuple[object, ...]]:
    """Make rows of maxima of the first band, relative to 0-0, beside the measured lines."""
    first = curve.transitions[0]
    spectrum = replace(curve, transitions=(first,)).at(curve.energies)
    peaks = np.flatnonzero((spectrum[1:-1] > spectrum[:-2]) & (spectrum[1:-1] > spectrum[2:])) + 1
    places = (curve.energies[peaks] - first.zero_zero) * WAVENUMBERS
    found: list[tuple[object, ...]] = [
        ("0-0", f"{first.zero_zero * WAVENUMBERS:.0f}", f"{ZERO_ZERO:.0f}", "")
    ]
    tallest = spectrum.max()
    (lending, _), (breathing, _) = first.promoting_modes(1)[0], first.main_modes(1)[0]
    for name, (of_lending, of_breathing, measured) in LINES.items():
        expected = of_lending * lending + of_breathing * breathing
        k = int(np.abs(places - expected).argmin())
        found.append(
            (name, f"{places[k]:+.0f}", f"{measured:+d}", f"{spectrum[peaks[k]] / tallest:.2f}")
        )
    return found


def forbidden_picture(curve: VibronicSpectrum, path: Path) -> None:
    """Plot the first band of benzene and its measured lines, both relative to 0-0."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    first = curve.transitions[0]
    alone = replace(curve, transitions=(first,)).at(curve.energies)
    figure, ax = plt.subplots(figsize=(5.0, 3.2), layout="constrained")
    ax.plot((curve.energies - first.zero_zero) * WAVENUMBERS, alone, label="predicted")
    ax.axhline(0.0, color="#6b6b6b", lw=1, ls="--", label="predicted, constant dipole")
    for name, (*_, place) in LINES.items():
        ax.axvline(place, color="#d62728", lw=1, label="measured" if place == 521 else None)
        ax.annotate(
            name, (place, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom"
        )
    ax.set(xlabel="wavenumber from the 0-0 line (cm⁻¹)", ylabel="ε (L mol⁻¹ cm⁻¹)")
    ax.set_xlim(-1500, 6000)
    ax.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=150)


def predicted(model: esml.Surrogate, smiles: str) -> VibronicSpectrum:
    """Predict the band of the first singlet of the molecule ``smiles`` in vacuum."""
    atoms = from_smiles(smiles, ReadingOptions(geometry="xtb")).atoms
    ground = xtb_calculator(0)
    found = vibronic_bands(model, atoms, ground, 1, normal_modes(atoms, ground, METHOD))
    return vibronic_spectrum(found, FWHM)


def maxima(curve: VibronicSpectrum, count: int) -> tuple[Array, Array]:
    """Return energies (eV) and relative heights of the first ``count`` maxima."""
    found = bands(curve.energies, curve.absorption, share=0.02)[:count]
    heights = np.array([band.height for band in found])
    return np.array([band.energy for band in found]), heights / heights[0]


def rows(name: str, measured: MeasuredBand, curve: VibronicSpectrum) -> list[tuple[object, ...]]:
    """Make rows of predicted and measured maxima, their spacings and heights."""
    nm, epsilon = np.array(measured.maxima).T
    ours, heights = maxima(curve, len(nm))
    energies, expected = HC / nm, epsilon / epsilon[0]
    found: list[tuple[object, ...]] = []
    for k, (e, m) in enumerate(zip(ours, energies, strict=False)):
        steps = ("", "") if k == 0 else (f"{e - ours[k - 1]:.3f}", f"{m - energies[k - 1]:.3f}")
        place = f"{name} in {measured.solvent}" if k == 0 else ""
        both = f"{heights[k]:.2f}", f"{expected[k]:.2f}"
        found.append((place, f"0-{k}", f"{e:.2f}", f"{m:.2f}", *steps, *both))
    return found


def picture(curves: dict[str, VibronicSpectrum], path: Path) -> None:
    """Plot the curves with the measured maxima, both relative to their 0-0 maximum."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(curves), figsize=(3.2 * len(curves), 3.0), layout="constrained", squeeze=False
    )
    for ax, (name, curve) in zip(axes[0], curves.items(), strict=True):
        nm, epsilon = np.array(MEASURED[name].maxima).T
        ours, _ = maxima(curve, 1)
        height = np.interp(ours[0], curve.energies, curve.absorption)
        ax.plot(curve.energies - ours[0], curve.absorption / height, label="predicted")
        ax.vlines(HC / nm - HC / nm[0], 0, epsilon / epsilon[0], color="#d62728", label="measured")
        ax.plot(HC / nm - HC / nm[0], epsilon / epsilon[0], "o", color="#d62728", ms=4)
        ax.set(title=name, xlabel="energy above the 0-0 maximum (eV)", xlim=(-0.3, 1.0))
        ax.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("absorption / that of 0-0")
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(MEASURED))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--forbidden", action="store_true")
    given = parser.parse_args()
    model = esml.load_model()
    if given.forbidden:
        curve, result = forbidden(model)
        headings = ("", "E (eV)", "f at rest", "f", "measured", "modes, cm⁻¹ (share)", "warned of")
        print(table(headings, forbidden_rows(curve, result)), end="\n\n")
        print(table(("cm⁻¹", "predicted", "measured", "height"), line_rows(curve), right=True))
        if given.picture:
            forbidden_picture(curve, given.picture)
        return
    curves = {name: predicted(model, MEASURED[name].smiles) for name in given.names}
    head = ("", "", "E (eV)", "measured", "step", "measured", "height", "measured")
    found = [row for name, curve in curves.items() for row in rows(name, MEASURED[name], curve)]
    print(table(head, found, right=True))
    if given.picture:
        picture(curves, given.picture)


if __name__ == "__main__":
    main()
