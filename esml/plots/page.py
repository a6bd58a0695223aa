"""HTML page of one molecule: all results in a single file.

The file contains 3Dmol.js and all data, so that it opens without a network and can be sent to
others. It shows the molecule in 3D with orbitals, natural transition orbitals and transition
densities as surfaces, the table of states, the spectrum, the orbital energies and, if RDKit is
installed, the structural formula. Texts from outside, such as names, are escaped, and the page
forbids the browser to load anything from elsewhere.

``esml.plots.page_data`` makes the data for the scripts of the page.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from esml.analysis.characters import Character
from esml.analysis.colour import CONCENTRATION
from esml.analysis.dichroism import STATEMENT as STATEMENT_OF_DICHROISM
from esml.analysis.orbital_shapes import STATEMENT
from esml.analysis.two_photon import RESONANT, resonant
from esml.analysis.two_photon import STATEMENT as STATEMENT_OF_TWO_PHOTONS
from esml.io.files import write_whole
from esml.plots.page_data import MOST_STATES, orbital_pairs, page_data
from esml.plots.page_drawing import colour_of, drawing
from esml.results.band_maximum import expected_colour
from esml.results.details import ABSORPTION
from esml.results.states import three_digits
from esml.typing import MULTIPLICITIES

if TYPE_CHECKING:
    from esml.analysis.vibronic import VibronicSpectrum
    from esml.results import Result, States
    from esml.results.details import StateDetails

SCRIPTS = ("page_orbitals.js", "page_spectrum.js", "page_levels.js", "page.js")
"""Scripts of the page, in order; 3Dmol.js comes before them."""

QUANTITIES = (
    '<label>show <select id="quantity"><option value="dichroism">circular dichroism</option>'
    '<option value="absorption">absorption</option></select></label>'
)
"""Menu of what the spectrum shows."""

ROTATORY_HEAD = '<th scope="col" title="rotatory strength">R (10⁻⁴⁰ cgs)</th>'
ROTATORY_NOTE = f'<p class="soft">{escape(STATEMENT_OF_DICHROISM)}.</p>'
"""Heading of rotatory strengths, and the note below their table."""

MOST_BYTES = 700_000
"""Largest compressed attachment, so that a page stays below 2 MB."""


def write_page(
    result: Result,
    path: str | Path,
    name: str = "",
    fwhm: float = 0.3,
    notes: Sequence[str] = (),
    attachments: Mapping[str, str] | None = None,
    details: StateDetails | None = None,
    vibronic: VibronicSpectrum | None = None,
    dichroism: bool = False,
) -> None:
    """Write the page of ``result`` to ``path``.

    Parameters
    ----------
    result
        A result with wave functions, as from ``Surrogate.predict``.
    path
        The file to write.
    name
        Heading; the formula if empty.
    fwhm
        Initial line width, eV.
    notes
        Sentences to show below the heading, such as where the geometry is from. The warnings of
        the result are always shown.
    attachments
        Files to download from the page, text by name. Those that exceed 0.7 MB compressed are
        left out.
    details
        One state in detail, in a section of its own.
    vibronic
        The vibronic spectrum of the result, to draw in place of lines of width ``fwhm`` at the
        vertical energies.
    dichroism
        Show circular dichroism, too: rotatory strengths in the table, and the curve of Δε.

    Raises
    ------
    MissingWavefunctionsError
        If the result has no orbitals.
    OSError
        If the disk refuses.
    """
    text = page(result, name, fwhm, notes, attachments, details, vibronic, dichroism)
    write_whole(Path(path), text.encode("utf-8"))


def page(
    result: Result,
    name: str = "",
    fwhm: float = 0.3,
    notes: Sequence[str] = (),
    attachments: Mapping[str, str] | None = None,
    details: StateDetails | None = None,
    vibronic: VibronicSpectrum | None = None,
    dichroism: bool = False,
) -> str:
    """Return the text that ``write_page`` writes."""
    graph = result.graph
    characters = {each: result.named_characters(each) for each in MULTIPLICITIES}
    singlets, triplets = characters["singlet"], characters["triplet"]
    data = page_data(result, singlets, triplets, fwhm, vibronic, dichroism)
    data["files"] = _attached(attachments or {})
    data["title"] = name or data["formula"]
    heading = escape(name or data["formula"])
    return part("page.html").format(
        title=f"{heading} – esml",
        style=part("page.css"),
        heading=heading,
        formula=_subscripts(data["formula"]),
        group=escape(result.point_group.name),
        warnings=_warnings(result),
        notes="\n".join(f"<p>{escape(note)}</p>" for note in notes),
        facts=_facts(result, fwhm, vibronic),
        choices=_choices(data),
        quantities=QUANTITIES if dichroism else "",
        more_heads=(ROTATORY_HEAD if dichroism else "") + _two_photon_heads(result),
        more_notes=(ROTATORY_NOTE if dichroism else "") + _two_photon_note(result),
        details=_details(details) if details is not None else "",
        states=_table(result, result.singlets, singlets, dichroism)
        + _table(result, result.triplets, triplets, dichroism),
        drawing=drawing(result, graph) if graph is not None else _no_drawing(),
        fragments=_fragments(data),
        statement=escape(STATEMENT),
        medium=escape(result.surroundings),
        library=part("3Dmol-min.js"),
        # JSON may contain the end tag of a script element.
        data=json.dumps(data, ensure_ascii=True).replace("<", "\\u003c"),
        scripts="\n".join(part(script) for script in SCRIPTS),
    )


def part(name: str) -> str:
    """Return the text of a file of the page's template."""
    return (files("esml.plots") / name).read_text(encoding="utf-8")


def _attached(attachments: Mapping[str, str]) -> dict[str, str]:
    """Attachments, compressed and in base64, without those too large."""
    found = {}
    for name, text in attachments.items():
        content = gzip.compress(text.encode("utf-8"), mtime=0)
        if len(content) <= MOST_BYTES:
            found[name] = base64.b64encode(content).decode("ascii")
    return found


def _subscripts(formula: str) -> str:
    return "".join(f"<sub>{c}</sub>" if c.isdigit() else escape(c) for c in formula)


def _warnings(result: Result) -> str:
    """A conspicuous box with the warnings; empty without any."""
    if not result.warnings:
        return ""
    title = "Warning" if result.in_domain else "Warning: unlike the training data"
    lines = "".join(f"<p>{escape(text)}</p>" for text in result.warnings)
    return f'<div class="warning" role="alert"><strong>{title}</strong>{lines}</div>'


def _facts(result: Result, fwhm: float, vibronic: VibronicSpectrum | None) -> str:
    rows = [
        ("HOMO", f"{_signed(result.homo)} eV"),
        ("LUMO", f"{_signed(result.lumo)} eV"),
        ("gap", f"{result.gap:.2f} eV"),
        ("dipole moment", f"{np.linalg.norm(result.dipole):.2f} debye"),
    ]
    if len(result.singlets):
        curve = vibronic or result.spectrum(fwhm=fwhm)
        if np.isfinite(curve.absorption_max_nm):
            rows.append(("λmax", f"{curve.absorption_max_nm:.0f} nm"))
        if result.band_maximum is not None:
            rows.append(("band maximum to expect", str(result.band_maximum)))
        colour = expected_colour(curve, result.band_maximum)
        swatch = f'<i class="swatch" style="background:{colour.hex}"></i>'
        rows.append((f"colour of {1e3 * CONCENTRATION:g} mmol/L", swatch + escape(colour.name)))
    return "".join(f"<div><dt>{name}</dt> <dd>{value}</dd></div>" for name, value in rows)


def _signed(energy: float) -> str:
    return f"{energy:.2f}".replace("-", "−")


def _table(result: Result, states: States, characters: Sequence[Character], dichroism: bool) -> str:
    waves = result.wavefunctions(states.multiplicity)
    singlet = states.multiplicity == "singlet"
    two_photon = _two_photon_cells(result, states)
    rows = []
    for k, (energy, character) in enumerate(zip(states.energies, characters, strict=True)):
        uncertainty, nanometres = states.uncertainties[k], states.wavelengths[k]
        label = states.labels[k]
        pair, weight = orbital_pairs(waves, k)[0]
        cells = [
            f"{energy:.2f}",
            f"{uncertainty:.2f}" if np.isfinite(uncertainty) else "–",
            f"{nanometres:.0f}" if np.isfinite(nanometres) else "–",
            f"{states.oscillator_strengths[k]:.3f}" if singlet else "–",
            *([_rotatory(states, k)] if dichroism else []),
            *two_photon[k],
            character.label,
            f"{pair} {100 * weight:.0f} %",
            _where(character),
            character.symmetry.text or "–",
            f"{character.participation:.1f}",
            f"{character.charge_transfer:.2f}" if len(character.fragments) > 1 else "–",
            f"{character.separation:.1f}",
        ]
        inner = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        head = f'<button type="button" data-state="{label}">{label}</button>'
        shown = head if k < MOST_STATES else label
        rows.append(f'<tr data-row="{label}"><th scope="row">{shown}</th>{inner}</tr>')
    return f"<tbody>{''.join(rows)}</tbody>"


def _rotatory(states: States, k: int) -> str:
    if states.multiplicity == "triplet":
        return "–"
    return f"{states.rotatory_strengths[k]:+.1f}".replace("-", "−")


def _has_two_photon(result: Result) -> bool:
    return "two_photon_strengths" in result.singlets.extras


def _two_photon_heads(result: Result) -> str:
    """Headings of the columns that ``_two_photon_cells`` fills."""
    heads = [
        ("δ (a.u.)", "two-photon strength for linearly polarized light"),
        ("σ (GM)", "two-photon cross-section for linearly polarized light"),
    ]
    return "".join(
        f'<th scope="col" title="{title}">{text}</th>'
        for text, title in (heads if _has_two_photon(result) else [])
    )


def _two_photon_cells(result: Result, states: States) -> list[list[str]]:
    """δ and σ of each state; no cells if two-photon strengths were not requested."""
    if not _has_two_photon(result):
        return [[] for _ in states.labels]
    if states.multiplicity == "triplet":
        return [["–", "–"] for _ in states.labels]
    near = resonant(states.energies, states.oscillator_strengths)
    return [
        [f"{three_digits(strength)}{' (resonant)' if there else ''}", three_digits(section)]
        for strength, section, there in zip(
            states.two_photon_strengths, states.two_photon_cross_sections, near, strict=True
        )
    ]


def _two_photon_note(result: Result) -> str:
    """Note on δ and σ below their table."""
    if not _has_two_photon(result):
        return ""
    return (
        f'<p class="soft">Two photons of half the energy each: {escape(STATEMENT_OF_TWO_PHOTONS)}. '
        f"Do not read <i>resonant</i> ones: half the energy is within {RESONANT:g} eV of a state "
        "that one photon reaches.</p>"
    )


def _details(details: StateDetails) -> str:
    """Section on one state."""
    first, *lines = details.sentences()
    tables = []
    for headings, rows in details.tables():
        head = "".join(f'<th scope="col">{escape(text)}</th>' for text in headings)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in rows
        )
        tables.append(
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(headings[0])}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )
    return (
        '<section class="wide" aria-labelledby="h-details">'
        f'<h2 id="h-details">{escape(first)}</h2>'
        + "".join(f"<p>{escape(line)}</p>" for line in lines)
        + "".join(tables)
        + f'<p class="soft">{escape(ABSORPTION)}.</p></section>'
    )


def _where(character: Character) -> str:
    if len(character.fragments) == 1:
        return "–"
    return f"CT: {character.where}" if character.kind == "charge transfer" else character.where


def _choices(data: Mapping[str, Any]) -> str:
    """Options of the menu: the states, and the frontier orbitals."""
    states = "".join(
        f'<option value="{state["label"]}">{state["label"]}, {state["energy"]:.2f} eV</option>'
        for state in data["states"]
        if "natural" in state
    )
    orbitals = "".join(
        f'<option value="{each["name"]}">{each["name"]}, {_signed(each["energy"])} eV</option>'
        for each in reversed(data["orbitals"])
    )
    groups = {"States": states, "Orbitals": orbitals}
    return "".join(f'<optgroup label="{name}">{text}</optgroup>' for name, text in groups.items())


def _no_drawing() -> str:
    return '<p class="soft">The structural formula needs RDKit: pip install "esml[smiles]".</p>'


def _fragments(data: Mapping[str, Any]) -> str:
    """Rows of the table of fragments; the scripts fill in hole and electron."""
    rows = []
    for k, fragment in enumerate(data["fragments"]):
        atoms = ", ".join(map(str, fragment["atoms"]))
        rows.append(
            f'<tr><th scope="row"><i class="dot" style="background:{colour_of(k)}"></i>'
            f'{escape(fragment["name"])}</th><td class="atoms">{atoms}</td>'
            f'<td data-part="hole"></td><td data-part="electron"></td></tr>'
        )
    return "".join(rows)
