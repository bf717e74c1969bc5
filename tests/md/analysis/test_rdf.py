"""g(r) against freud, and against what is known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrasurr.errors import StructureError
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.md.analysis import RDF
from hydrasurr.md.systems import liquid_argon, rocksalt


def _rattled(atoms: Atoms, by: float, seed: int) -> Atoms:
    atoms = atoms.copy()
    atoms.positions += np.random.default_rng(seed).normal(scale=by, size=(len(atoms), 3))
    return atoms


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), bins=st.integers(1, 90), slant=st.floats(-0.3, 0.3))
def test_the_same_as_freud(seed: int, bins: int, slant: float) -> None:
    """Triclinic cells, atoms outside of them, several frames. freud computes in 32 bits: a pair may change bins."""
    import freud

    generator = np.random.default_rng(seed)
    ours = RDF(4.9, bins)
    theirs = freud.density.RDF(bins, 4.9)
    pairs_expected = 0.0
    for frame in range(2):
        cell = np.array([[11.0, 0, 0], [11 * slant, 10.5, 0], [3 * slant, -3 * slant, 12.0]])
        positions = generator.uniform(-1, 2, (60, 3)) @ cell
        ours.compute(Systems.single([18] * 60, positions, cell, True), reset=False)
        box = freud.box.Box.from_matrix(cell.T)
        theirs.compute((box, box.wrap(positions)), reset=frame == 0)
        pairs_expected += 60 * 60 / abs(np.linalg.det(cell))
        assert ours.frames == frame + 1
    assert np.allclose(ours.edges, theirs.bin_edges, atol=1e-5)
    shells = 4 / 3 * np.pi * np.diff(ours.edges**3) * pairs_expected
    assert np.abs((ours.g - theirs.rdf) * shells).max() <= 4.1  # in ordered pairs: two pairs changed places at most
    assert (ours.g * shells).sum() == pytest.approx((theirs.rdf * shells).sum(), abs=4.1)


def test_the_same_as_freud_for_two_species() -> None:
    import freud

    salt = _rattled(rocksalt(cells=(3, 3, 3)), 0.2, 0)
    for a, b in (("Na", "Cl"), ("Cl", "Na"), ("Na", "Na"), ("Cl", "Cl")):
        theirs = freud.density.RDF(80, 8.0)
        of = [salt.positions[salt.symbols == element] for element in (a, b)]
        box = freud.box.Box.from_matrix(salt.cell.array.T)
        query = {"mode": "ball", "r_max": 8.0, "exclude_ii": a == b}
        theirs.compute((box, of[1]), query_points=of[0], neighbors=query)
        ours = RDF(8.0, 80, (a, b)).compute(salt)
        assert np.allclose(ours.g, theirs.rdf, atol=0.02)
        assert np.allclose(ours.neighbours_within, theirs.n_r, atol=0.03)


def test_partial_functions_add_up_to_the_whole() -> None:
    salt = _rattled(rocksalt(cells=(2, 2, 2)), 0.3, 1)
    whole = RDF(7.0, 50).compute(salt).g
    parts = {pair: RDF(7.0, 50, pair).compute(salt).g for pair in (("Na", "Na"), ("Cl", "Cl"), ("Na", "Cl"))}
    weights = {("Na", "Na"): 0.25, ("Cl", "Cl"): 0.25, ("Na", "Cl"): 0.5}
    assert np.allclose(whole, sum(weights[pair] * g for pair, g in parts.items()))


def test_a_small_cell_gives_the_same_as_its_copies() -> None:
    """Distances beyond half the cell, and even beyond the cell, count all images."""
    small = _rattled(liquid_argon(32), 0.3, 2)
    assert small.cell[0, 0] < 12
    assert np.allclose(RDF(14.0, 140).compute(small).g, RDF(14.0, 140).compute(small * (3, 3, 3)).g)


def test_an_ideal_gas_has_none_but_its_own_density() -> None:
    generator = np.random.default_rng(0)
    frames = [Systems.single([18] * 500, generator.random((500, 3)) * 20, [20.0] * 3, True) for _ in range(20)]
    rdf = RDF(9.0, 9).compute(frames)
    expected_pairs = rdf._expected / 2
    assert (np.abs(rdf.g[1:] - (1 - 1 / 500)) < 5 / np.sqrt(expected_pairs[1:])).all()
    assert np.array_equal(RDF(9.0, 9).compute(join(frames)).g, rdf.g)


def test_halite_has_its_shells() -> None:
    """6 chlorine neighbours at a/2, 8 at sqrt(3) a/2; 12 sodium at a/sqrt(2)."""
    frames = [_rattled(rocksalt(cells=(3, 3, 3)), 0.12, seed) for seed in range(20)]
    unlike, alike = (RDF(8.0, 200, pair).compute(frames) for pair in (("Na", "Cl"), ("Na", "Na")))
    assert unlike.first_peak.r == pytest.approx(5.6402 / 2, abs=0.03)
    assert unlike.coordination_number == pytest.approx(6, abs=0.01)
    assert unlike.second_peak.r == pytest.approx(5.6402 * np.sqrt(3) / 2, abs=0.05)
    assert alike.first_peak.r == pytest.approx(5.6402 / np.sqrt(2), abs=0.03)
    assert alike.coordination_number == pytest.approx(12, abs=0.01)


def test_a_peak_between_two_bins_is_found() -> None:
    rdf = RDF(10.0, 100)
    rdf.frames, rdf._centres, rdf._expected = 1, 1, np.ones(100)
    rdf._counts = 1 + 2 * np.exp(-((rdf.r - 3.713) ** 2)) - 0.5 * np.exp(-((rdf.r - 5.321) ** 2) / 0.5)
    rdf._counts[rdf.r < 2.5] = 0
    rdf._counts[rdf.r > 8] = 1.1
    assert rdf.first_peak.r == pytest.approx(3.713, abs=0.02)
    assert rdf.first_peak.g == pytest.approx(3, abs=0.05)


def test_a_plot_shows_the_function(tmp_path: Path) -> None:
    rdf = RDF(9.0).compute(_rattled(liquid_argon(108), 0.4, 3))
    ax = rdf.plot(label="argon")
    (line,) = [line for line in ax.lines if line.get_label() == "argon"]
    assert np.array_equal(line.get_ydata(), rdf.g) and ax.get_ylabel() == "g(r)"
    ax.figure.savefig(tmp_path / "rdf.png")
    assert (tmp_path / "rdf.png").stat().st_size > 5000
    assert rdf.plot(ax) is ax


def test_misuse_is_told() -> None:
    with pytest.raises(StructureError, match="before compute"):
        _ = RDF(5.0).g
    with pytest.raises(StructureError, match="no element 'Nax'; did you mean 'Na'"):
        RDF(5.0, pair=("Nax", "Cl"))
    with pytest.raises(StructureError, match="periodic in all three"):
        RDF(5.0).compute(Atoms("Ar2", [[0, 0, 0], [0, 0, 4]]))
    with pytest.raises(StructureError, match="no atoms of Na or Cl"):
        RDF(5.0, pair=("Na", "Cl")).compute(liquid_argon(32))
    with pytest.raises(StructureError, match="shows 0 of 1 shells"):
        _ = RDF(3.0).compute(liquid_argon(32)).first_peak
