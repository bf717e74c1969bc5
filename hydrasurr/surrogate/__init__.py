"""The trained model as other codes call it: load, predict, export."""

from hydrasurr.surrogate.predictor import Predictions, Surrogate, load

__all__ = ["Predictions", "Surrogate", "load"]
