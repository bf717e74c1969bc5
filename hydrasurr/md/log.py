"""log.csv: energies, temperature and pressure along a run."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.md.state import State
from hydrasurr.md.trajectory import cut, flush


@dataclass(frozen=True)
class LogLine:
    """One line; None is written as nothing.

    Attributes
    ----------
    conserved_eV : what should be constant: the total energy, for nvt_bussi less the thermostat's work
    drift_meV_per_atom_per_ps : of the conserved energy from the begin of the run up to here
    """

    step: int
    time_ps: float
    potential_eV: float
    kinetic_eV: float
    total_eV: float
    conserved_eV: float | None
    temperature_K: float
    pressure_bar: float | None
    drift_meV_per_atom_per_ps: float | None

    @classmethod
    def of(
        cls, state: State, step: int, timestep_fs: float, conserved: float | None, drift: float | None
    ) -> LogLine:
        pressure = float(state.pressure[0])
        return cls(
            step,
            step * timestep_fs / 1000,
            float(state.result.energy[0]),
            float(state.kinetic_energy[0]),
            float(state.total_energy[0]),
            conserved,
            float(state.temperature[0]),
            None if np.isnan(pressure) else pressure,
            drift,
        )


COLUMNS = tuple(field.name for field in fields(LogLine))


class LogWriter:
    """Adds lines to log.csv. `keep` bytes of an existing file stay; 0 begins anew."""

    def __init__(self, path: Path, keep: int = 0):
        self._file = cut(path, keep)
        if not keep:
            self._file.write(",".join(COLUMNS) + "\n")

    def write(self, line: LogLine) -> None:
        cells = (f"{value:.12g}" if isinstance(value, float) else str(value) for value in astuple(line))
        self._file.write(",".join("" if cell == "None" else cell for cell in cells) + "\n")

    def mark(self) -> int:
        """Put all lines so far on the disk; the size of the file in bytes."""
        return flush(self._file)

    def close(self) -> None:
        self._file.close()


def read_log(path: str | Path) -> dict[str, np.ndarray]:
    """Column -> float64 `[lines]`, NaN where there is nothing. Raises HydrasurrError if it is no log."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise HydrasurrError(f"cannot read the log '{path}': {error.strerror}") from error
    if not lines or lines[0] != ",".join(COLUMNS):
        raise HydrasurrError(f"'{path}' is no log of a run: its first line should be {','.join(COLUMNS)}")
    rows = [line.split(",") for line in lines[1:]]
    whole = [row for row in rows if len(row) == len(COLUMNS)]  # a crash may have cut the last one short
    values = np.array([[float(cell) if cell else np.nan for cell in row] for row in whole])
    return dict(zip(COLUMNS, values.reshape(-1, len(COLUMNS)).T, strict=True))
