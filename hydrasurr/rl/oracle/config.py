"""The `oracle` section of a configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hydrasurr.strict import Strict


class OracleConfig(Strict):
    """How a molecule gets its labels.

    Its gap is that of one conformer: of those that are embedded the one of lowest energy by the force field,
    optimised by xTB. Labels of flexible molecules depend on which one that is; more conformers make that less a matter
    of chance.
    """

    method: Literal["GFN2-xTB", "GFN1-xTB"] = "GFN2-xTB"
    """C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019); GFN1: 13, 1989 (2017)."""
    conformers: int = Field(5, ge=1)
    """Embedded and optimised by the force field, MMFF94, or UFF for what that does not know."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the embedding."""
    optimizer: Literal["BFGS", "LBFGS", "FIRE"] = "BFGS"
    """Of ASE."""
    fmax: float = Field(0.05, gt=0)
    """The geometry is optimised when no atom has a larger force, in eV/Angstrom."""
    max_steps: int = Field(300, ge=0)
    """0: the force field's geometry as it is."""
    unconverged: Literal["error", "accept"] = "error"
    """What to do with a molecule whose forces are larger after `max_steps`."""
