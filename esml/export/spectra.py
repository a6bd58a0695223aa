"""Write a spectrum, and a measured one to compare with, as JSON.

``format`` is "esml-spectrum-json", ``schema_version`` 7. ``prediction`` is the result as in
``esml.export.plain``, with two-photon strengths if requested (version 4) and the acidity of a
solvent (version 6). ``fwhm_eV`` and ``shape`` describe a line. ``absorption_max_nm`` is null
without a band. ``bands`` holds ``energy_eV``, ``wavelength_nm`` and
``molar_absorption_coefficient`` (L mol⁻¹ cm⁻¹) of every maximum at 180 nm or longer wavelengths.
``band_maximum`` (version 7), the maximum to expect in a measured spectrum, holds ``energy_eV``,
``wavelength_nm``, ``uncertainty_eV``, ``uncertainty_nm`` and ``doubt``, a sentence or empty; it is
null in vacuum, with --raw, and without a band. ``colour`` holds ``name``, ``hex``,
``concentration_mol_L``, ``path_cm`` and ``shift_eV`` (version 7), which moves the lowest maximum
of the curve to ``band_maximum`` and is 0 without one.
``measured``, if given, holds ``source``, ``quantity``, ``notes`` (what was recognized),
``peaks`` like bands with ``value`` in the measured quantity, ``similarity``, ``shift_eV`` and
``shifted_similarity`` (``esml.analysis.likeness``). ``vibronic``, of vibronic spectra (version 2),
holds ``temperature_K``, ``modes`` (``method``, ``wavenumbers_cm-1``, ``left_out``,
``largest_force_eV_A``) and for each of its ``transitions`` ``state``, ``vertical_eV``,
``averaging_eV`` (version 5; 0 unless energies are averaged over zero-point and thermal motion),
``zero_zero_eV``, ``reorganization_eV``, ``oscillator_strength`` and ``huang_rhys`` in the order of
the modes. Each transition holds ``herzberg_teller`` (version 3), null without this term:
``transition_dipole_e_bohr`` at the minimum, ``dipole_slopes_e_bohr`` and ``shifts`` for each mode,
by its dimensionless coordinate, ``overlaps`` of the state with itself ``step`` away,
``oscillator_strength`` at this temperature and what each mode lends to it, ``lent``;
``warnings``; and ``solvent_reorganization_eV`` (version 7). ``mirror_image`` (version 7) is the
emission of the lowest state as the mirror image of its absorption: ``state``, ``emission_max_nm``
and ``stokes_shift_eV`` between the maxima of both; null if it has none.
``state``, the details of one state if asked for (version 7), holds ``state``,
``energy_eV``, ``dipole_debye`` and ``charges_e`` (relaxed), ``absorption`` to all other states of
its multiplicity (``state``, ``energy_eV``, which is negative for lower ones,
``transition_dipole_e_bohr``, ``oscillator_strength``), ``spin_orbit`` with the states of the other
multiplicity (``state``, ``energy_eV`` from this state, ``strength_cm-1``) and
``phosphorescence_lifetime_ms``, null for singlets.
``circular_dichroism`` (version 7), if asked for, holds ``fwhm_eV`` and ``shape`` of a
line, ``energies_eV`` and ``dichroism_L_mol-1_cm-1`` (Δε) of the curve, ``states`` and their
``rotatory_strengths`` (10⁻⁴⁰ cgs), and ``statement``, how often signs are right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from esml.analysis.colour import CONCENTRATION, PATH
from esml.analysis.dichroism import STATEMENT, Dichroism
from esml.analysis.emission_spectrum import EmissionSpectrum, mirror_image
from esml.analysis.likeness import likeness
from esml.analysis.spectrum import WAVENUMBERS, Spectrum
from esml.analysis.vibronic import VibronicBand, VibronicSpectrum
from esml.export.plain import rounded, to_plain
from esml.io.files import write_whole
from esml.io.measured import MeasuredSpectrum
from esml.results import Result
from esml.results.band_maximum import BandMaximum, expected_colour
from esml.results.details import StateDetails

FORMAT = "esml-spectrum-json"
SCHEMA_VERSION = 7


def write_spectrum_json(
    path: str | Path,
    result: Result,
    curve: Spectrum,
    measured: MeasuredSpectrum | None = None,
    details: StateDetails | None = None,
    dichroism: Dichroism | None = None,
    emission: EmissionSpectrum | None = None,
) -> None:
    """Write a spectrum, and a measured one to compare with, as JSON.

    Parameters
    ----------
    path
        The file to write.
    result
        The prediction.
    curve
        Its spectrum.
    measured
        A measured spectrum to compare with.
    details
        One state in detail.
    dichroism
        Its circular dichroism, to be stored, too.
    emission
        Mirror image of a vibronic spectrum; computed here if None.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    expected = result.band_maximum
    colour = expected_colour(curve, expected)
    entry: dict[str, Any] = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "prediction": to_plain(result),
        "fwhm_eV": curve.fwhm,
        "shape": curve.shape,
        "absorption_max_nm": curve.absorption_max_nm,
        "bands": [
            {
                "energy_eV": band.energy,
                "wavelength_nm": band.wavelength,
                "molar_absorption_coefficient": band.height,
            }
            for band in curve.bands
        ],
        "colour": {
            "name": colour.name,
            "hex": colour.hex,
            "concentration_mol_L": CONCENTRATION,
            "path_cm": PATH,
            "shift_eV": 0.0 if expected is None else expected.shift(curve),
        },
        "band_maximum": None if expected is None else _expected(expected),
    }
    if measured is not None:
        entry["measured"] = _compared(curve, measured)
    if details is not None:
        entry["state"] = details.to_plain()
    if isinstance(curve, VibronicSpectrum):
        entry["vibronic"] = _vibronic(curve, emission or mirror_image(curve))
    if dichroism is not None:
        entry["circular_dichroism"] = _dichroism(result, dichroism)
    text = json.dumps(rounded(entry), ensure_ascii=False, indent=1)
    write_whole(Path(path), (text + "\n").encode("utf-8"))


def _expected(maximum: BandMaximum) -> dict[str, Any]:
    return {
        "energy_eV": maximum.energy,
        "wavelength_nm": maximum.wavelength,
        "uncertainty_eV": maximum.uncertainty,
        "uncertainty_nm": maximum.spread_nm,
        "doubt": maximum.doubt,
    }


def _vibronic(curve: VibronicSpectrum, emission: EmissionSpectrum | None) -> dict[str, Any]:
    modes = curve.transitions[0].modes
    return {
        "temperature_K": curve.temperature,
        "modes": {
            "method": modes.method,
            "wavenumbers_cm-1": (modes.energies * WAVENUMBERS).tolist(),
            "left_out": modes.soft,
            "largest_force_eV_A": modes.force,
        },
        "transitions": [
            {
                "state": band.label,
                "vertical_eV": band.vertical,
                "averaging_eV": band.averaging,
                "zero_zero_eV": band.zero_zero,
                "reorganization_eV": band.reorganization,
                "solvent_reorganization_eV": band.solvent_reorganization,
                "oscillator_strength": band.strength,
                "huang_rhys": band.huang_rhys.tolist(),
                "herzberg_teller": _lent(band, curve.temperature),
                "warnings": list(band.warnings),
            }
            for band in curve.transitions
        ],
        "mirror_image": None
        if emission is None
        else {
            "state": emission.band.label,
            "emission_max_nm": emission.emission_max_nm,
            "stokes_shift_eV": emission.stokes_shift(curve),
        },
    }


def _lent(band: VibronicBand, temperature: float) -> dict[str, Any] | None:
    expansion = band.expansion
    if expansion is None:
        return None
    return {
        "oscillator_strength": band.thermal_strength(temperature),
        "lent": band.borrowed(temperature).tolist(),
        "transition_dipole_e_bohr": expansion.dipole.tolist(),
        "dipole_slopes_e_bohr": expansion.slopes.tolist(),
        "shifts": expansion.shifts.tolist(),
        "overlaps": expansion.overlaps.tolist(),
        "step": expansion.step,
    }


def _dichroism(result: Result, curve: Dichroism) -> dict[str, Any]:
    return {
        "fwhm_eV": curve.fwhm,
        "shape": curve.shape,
        "energies_eV": curve.energies.tolist(),
        "dichroism_L_mol-1_cm-1": curve.dichroism.tolist(),
        "states": result.singlets.labels,
        "rotatory_strengths": result.singlets.rotatory_strengths.tolist(),
        "statement": STATEMENT,
    }


def _compared(curve: Spectrum, measured: MeasuredSpectrum) -> dict[str, Any]:
    found = likeness(curve.at, measured.energies, measured.values)
    return {
        "source": measured.source,
        "quantity": measured.quantity,
        "notes": list(measured.notes),
        "peaks": [
            {"energy_eV": peak.energy, "wavelength_nm": peak.wavelength, "value": peak.height}
            for peak in found.peaks
        ],
        "similarity": found.similarity,
        "shift_eV": found.shift,
        "shifted_similarity": found.shifted_similarity,
    }
