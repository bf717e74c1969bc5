"""Graph neural network surrogates for chemistry at HPC scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydrasurr.surrogate import Predictions, Surrogate, load

__version__ = "0.1.0"
__all__ = ["Predictions", "Surrogate", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the surrogate, and torch with it, only when it is asked for."""
    if name in ("load", "Surrogate", "Predictions"):
        from hydrasurr import surrogate

        return getattr(surrogate, name)
    raise AttributeError(f"module 'hydrasurr' has no attribute '{name}'")
