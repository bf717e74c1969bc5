"""Mean square displacement, and the diffusion coefficient from its slope."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from hydrasurr.errors import StructureError
from hydrasurr.training.figure_style import COLORS, new_axes, styled

CHUNK = 4_000_000
"""Coordinates transformed at a time."""

UNIT = 10.0
"""1 Angstrom^2/ps in 1e-5 cm^2/s."""


class MSD:
    """`MSD(t) = < |x(t0 + t) - x(t0)|^2 >` over all atoms and all time origins t0; `D = slope / 6` (Einstein).

    The trajectory is cut into blocks of equal length, and MSD and D are found for each: their mean is the result, and
    its standard error tells how much of it is chance. Blocks should be longer than the memory of the system, a few ps
    for simple liquids.

    Parameters
    ----------
    blocks : 2 or more
    max_lag : the longest time t, as a part of a block
    fit_from : the slope is that of a straight line from this part of the longest time, so that the first,
        ballistic time is left out
    """

    def __init__(self, blocks: int = 5, max_lag: float = 0.5, fit_from: float = 0.25):
        if blocks < 2 or not 0 < max_lag < 1 or not 0 <= fit_from < 1:
            raise ValueError("expected blocks >= 2, 0 < max_lag < 1 and 0 <= fit_from < 1")
        self.blocks, self.max_lag, self.fit_from = blocks, max_lag, fit_from

    def compute(self, positions: np.ndarray, spacing_ps: float) -> MSD:
        """Take unwrapped positions `[F, N, 3]` (Angstrom) of frames `spacing_ps` apart; see hydrasurr.md.frame.paths.

        The motion of the centre of mass counts; the integrators here keep it at rest. Raises StructureError if there
        are too few frames.
        """
        positions = np.asarray(positions)
        length = len(positions) // self.blocks
        lags = int(length * self.max_lag) + 1
        self._from = round((lags - 1) * self.fit_from)
        if lags - self._from < 3:
            raise StructureError(
                f"{len(positions)} frames are too few for {self.blocks} blocks: give more, or take fewer blocks"
            )
        parts = positions[: length * self.blocks].reshape(self.blocks, length, -1, 3)
        self._curves = np.stack([mean_square_displacement(part)[:lags] for part in parts])
        self._time = np.arange(lags) * spacing_ps
        fit = slice(self._from, None)
        self._diffusion = np.polyfit(self._time[fit], self._curves[:, fit].T, 1)[0] / 6 * UNIT
        return self

    @property
    def time(self) -> np.ndarray:
        """float64 `[L]`, ps: the times t."""
        return self._of("_time")

    @property
    def msd(self) -> np.ndarray:
        """float64 `[L]`, Angstrom^2."""
        return self._of("_curves").mean(0)

    @property
    def msd_error(self) -> np.ndarray:
        """float64 `[L]`, Angstrom^2: standard error of the mean over blocks."""
        return self._of("_curves").std(0, ddof=1) / np.sqrt(self.blocks)

    @property
    def diffusion(self) -> float:
        """D in 1e-5 cm^2/s."""
        return float(self._of("_diffusion").mean())

    @property
    def diffusion_error(self) -> float:
        """Standard error of D, 1e-5 cm^2/s."""
        return float(self._of("_diffusion").std(ddof=1) / np.sqrt(self.blocks))

    @styled
    def plot(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Draw MSD(t) with its error on `ax`, or on a new figure."""
        ax = new_axes((4.2, 2.6))[1] if ax is None else ax
        (line,) = ax.plot(self.time, self.msd, label=label)
        low, high = self.msd - self.msd_error, self.msd + self.msd_error
        ax.fill_between(self.time, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
        ax.axvline(self.time[self._from], color=COLORS["muted"], linewidth=0.6, linestyle=(0, (1, 2)))
        ax.set(xlabel="t [ps]", ylabel="MSD [Å²]", xlim=(0, self.time[-1]), ylim=(0, None))
        return ax

    def _of(self, name: str) -> np.ndarray:
        if not hasattr(self, name):
            raise StructureError("there is no mean square displacement before compute has taken frames")
        return getattr(self, name)


def mean_square_displacement(positions: np.ndarray) -> np.ndarray:
    """float64 `[F]`: the mean over atoms and time origins for each number of frames apart; positions are `[F, N, 3]`.

    By Fourier transform, in O(F log F) for an atom (Calandrini et al., Collection SFN 12, 201, 2011, section 4.2).
    """
    frames, atoms = positions.shape[:2]
    origins = np.arange(frames, 0, -1)
    total = np.zeros(frames)
    step = max(CHUNK // (3 * frames), 1)
    for start in range(0, atoms, step):
        x = positions[:, start : start + step].reshape(frames, -1).astype(np.float64)
        x -= x[0]  # small numbers, whose squares lose fewer digits
        squares = (x**2).sum(1)
        both = squares[::-1].cumsum()[::-1] + squares.cumsum()[::-1]
        transform = np.fft.rfft(x, 2 * frames, axis=0)
        product = np.fft.irfft((transform * transform.conj()).real.sum(1), 2 * frames)[:frames]
        total += both - 2 * product
    return total / origins / atoms
