"""What the report says follows from its numbers, whatever they are."""

from __future__ import annotations

import pytest

from hydrasurr.md.nacl.answer import answer
from hydrasurr.md.nacl.settings import load_study


@pytest.mark.parametrize(
    ("learned", "bound", "network", "said", "not_said"),
    [
        (0.011, 0.0105, 1.8, ("More training could not change that", "is the table"), "More could be gained"),
        (0.040, 0.0030, 0.5, ("More could be gained", "0.5 times as long"), "is the table"),
    ],
)
def test_more_training_and_the_table(
    learned: float, bound: float, network: float, said: tuple[str, ...], not_said: str
) -> None:
    """A network that was trained too little, or one faster than the mesh, is not told of as if it were the end."""

    def far(error: float) -> dict:
        home = {"force": error, "energy": 0.1, "pressure": 10.0, "of_far": error / 0.06, "of_total": error / 0.2}
        return {"constant": 0.0, "places": {"crystal": home}}

    error = {"p3m": 1e-5, "none": 0.06, "dsf-12": 0.012, "far-12": learned}
    found = {"error": error, "best_learned": "far-12", "best_dsf": "dsf-12", "ions": 512, "network": network}
    numbers = {"answer": found, "far": {name: far(value) for name, value in error.items()}}
    html = answer(load_study(quick=True), {**numbers, "bound": {"12": {"fitted": bound, "held_out": bound}}})
    assert all(part in html for part in said) and not_said not in html
