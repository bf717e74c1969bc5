"""What figures of studies share."""

from __future__ import annotations

from hydrasurr.md.study.figures import COLOR, NAMES
from hydrasurr.models.pair_quantize import FORMATS
from hydrasurr.training.figure_style import COLORS


def test_every_format_has_a_name_and_a_colour_of_its_own() -> None:
    colors = [COLOR[name] for name in FORMATS]
    assert len({NAMES[name] for name in FORMATS}) == len(set(colors)) == len(FORMATS)
    assert set(colors) <= set(COLORS)
