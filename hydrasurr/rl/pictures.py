"""Pictures of molecules within a page, in its colours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from rdkit import Chem, rdBase
from rdkit.Chem.Draw.rdMolDraw2D import MolDraw2DSVG, PrepareAndDrawMolecule

from hydrasurr.training.figure_style import COLORS

WIDTH, HEIGHT = 236, 170
"""Pixels: four fill the width of a page."""
BOND = 26.0
"""Pixels; shorter only where a molecule would not fit, so that pictures can be compared."""
PALETTE = {
    5: "#b07050", 7: "#3f74d8", 8: "#d9483b", 9: "#2b9f93", 14: "#a08060", 15: "#d17f1f", 16: "#b08a00", 17: "#3c9a3c",
    34: "#a86f1a", 35: "#a6512f", 53: "#8a4bb8",
}  # fmt: skip
"""Atomic number -> colour, dark and light enough for any page; all others are in the colour of text."""
INK = "#000000"


def molecule(smiles: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """An `<svg>` element to stand in HTML, of so many pixels; nothing if RDKit reads no molecule there."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return ""
    drawer = MolDraw2DSVG(width, height)
    options = drawer.drawOptions()
    options.clearBackground, options.fixedBondLength, options.bondLineWidth = False, BOND, 1.5
    options.setAtomPalette({-1: _rgb(INK)} | {number: _rgb(color) for number, color in PALETTE.items()})
    PrepareAndDrawMolecule(drawer, mol)
    drawer.FinishDrawing()
    drawn = drawer.GetDrawingText()
    drawn = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    drawn = re.sub(r"<!--.*?-->|\n| class='[^']*'", "", drawn)
    drawn = re.sub(r"(fill-rule|stroke-linejoin|stroke-opacity|fill-opacity):[a-z0-9]+;?", "", drawn)
    drawn = drawn.replace(INK, f"var(--ink, {COLORS['ink']})")
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg role="img" aria-label="{escape(smiles)}" {box}>{drawn}'


def gallery(molecules: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Molecules by their SMILES side by side, each with lines of HTML below it."""
    return f'<div class="grid four">{"".join(_card(smiles, lines) for smiles, lines in molecules)}</div>'


def _card(smiles: str, lines: Sequence[str]) -> str:
    said = "".join(f"<div>{line}</div>" for line in (*lines, f'<code class="unit">{escape(smiles)}</code>'))
    return f"<figure>{molecule(smiles)}<figcaption>{said}</figcaption></figure>"


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
