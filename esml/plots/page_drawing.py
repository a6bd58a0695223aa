"""Structural formula of a molecule with coloured fragments; with RDKit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from esml.analysis.group_names import Mol

if TYPE_CHECKING:
    from esml.results import Result

COLOURS = (
    "#4e79a7",
    "#f28e2b",
    "#59a14f",
    "#b07aa1",
    "#c9a227",
    "#76b7b2",
    "#e15759",
    "#9c755f",
)
"""Colours of the fragments in order; they repeat after the last."""


def colour_of(fragment: int) -> str:
    """Return the colour of a fragment, by its index."""
    return COLOURS[fragment % len(COLOURS)]


def drawing(result: Result, mol: Mol) -> str:
    """Return the structural formula as SVG, with coloured fragments and atoms numbered from 1.

    Hydrogens bonded to other elements are not drawn. Black is ``currentColor``.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    place = {a: k for k, part in enumerate(result.bonding.fragments) for a in part.atoms}
    with rdBase.BlockLogs():
        flat = Chem.RemoveHs(mol, sanitize=False)
        rdDepictor.Compute2DCoords(flat)
        of: dict[int, int] = {}
        for atom in flat.GetAtoms():
            atom.SetProp("atomNote", str(atom.GetIntProp("number")))
            of[atom.GetIdx()] = place[atom.GetIntProp("number") - 1]
        shades = {k: _shade(colour_of(part)) for k, part in of.items()}
        bonds = {
            bond.GetIdx(): shades[bond.GetBeginAtomIdx()]
            for bond in flat.GetBonds()
            if of[bond.GetBeginAtomIdx()] == of[bond.GetEndAtomIdx()]
        }
        drawer = rdMolDraw2D.MolDraw2DSVG(460, 320)
        options: Any = drawer.drawOptions()
        options.clearBackground = False
        options.annotationFontScale = 0.6
        options.bondLineWidth = 2
        options.useBWAtomPalette()
        # Bond orders stay as they are; aromatic rings are drawn with alternating ones.
        ready = rdMolDraw2D.PrepareMolForDrawing(
            flat, kekulize=_has_orders(flat), addChiralHs=False
        )
        options.prepareMolsBeforeDrawing = False
        drawer.DrawMolecule(
            ready,
            highlightAtoms=list(shades),
            highlightAtomColors=shades,
            highlightBonds=list(bonds),
            highlightBondColors=bonds,
        )
        drawer.FinishDrawing()
    text = str(drawer.GetDrawingText())
    svg = text[text.index("<svg") :]
    return svg.replace("#000000", "currentColor")


def _has_orders(mol: Mol) -> bool:
    return any(bond.GetBondTypeAsDouble() > 1.0 for bond in mol.GetBonds())


def _shade(colour: str) -> tuple[float, float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255.0 for k in (1, 3, 5))
    return red, green, blue, 0.42
