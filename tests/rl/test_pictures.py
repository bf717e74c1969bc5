"""Pictures of molecules are parts of a page that need nothing else, in its colours."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from hydrasurr.rl.pictures import INK, PALETTE, gallery, molecule

DRUG = "CN1CCC[C@H]1c1cccnc1.OS(=O)(=O)c1ccc(Cl)cc1"


@pytest.mark.parametrize(
    "smiles", ["C", "O=C=O", DRUG, "C/C=C/C#N", "[Na+].[Cl-]", "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"]
)
def test_a_picture_is_one_small_element(smiles: str) -> None:
    text = molecule(smiles, 300, 200)
    svg = ElementTree.fromstring(text)
    assert (svg.tag, svg.get("width"), svg.get("height"), svg.get("aria-label")) == ("svg", "300", "200", smiles)
    assert len(svg) and not {"script", "style", "image"} & {child.tag for child in svg.iter()}
    assert INK not in text and "var(--ink" in text
    assert len(text) < 40_000


def test_elements_have_their_colours() -> None:
    drawn = molecule(DRUG).lower()
    for number, name in ((7, "N"), (8, "O"), (16, "S"), (17, "Cl")):
        assert PALETTE[number] in drawn, name
    assert PALETTE[9] not in drawn


def test_small_molecules_are_drawn_as_large_as_others() -> None:
    """Bonds of one length, whatever the molecule."""
    lengths = []
    for smiles in ("CC", "C1CCCCC1"):
        x, y, x2, y2 = map(float, re.search(r"M ([\d.]+),([\d.]+) L ([\d.]+),([\d.]+)", molecule(smiles)).groups())
        lengths.append(((x - x2) ** 2 + (y - y2) ** 2) ** 0.5)
    assert lengths[0] == pytest.approx(lengths[1], rel=0.03)


def test_what_is_no_molecule_has_no_picture() -> None:
    assert molecule("C(") == ""
    shown = gallery([("C(", ["<b>1</b>"]), ("N#N", [])])
    assert shown.count("<svg") == 1 and shown.count("<figure>") == 2
    assert "<div><b>1</b></div>" in shown and ">C(</code>" in shown
