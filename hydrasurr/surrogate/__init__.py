"""The trained model as other codes call it: load, predict, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydrasurr.surrogate.predictor import Predictions, Surrogate, load

__all__ = ["Predictions", "Surrogate", "load"]


def __getattr__(name: str) -> Any:
    """Import the predictor, and torch with it, only when it is asked for: LAMMPS asks for the plugin's folder alone."""
    if name in __all__:
        from hydrasurr.surrogate import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'hydrasurr.surrogate' has no attribute '{name}'")
