"""Moved for a moment."""
from hydrasurr.rl.executors.worker import this_worker  # noqa: F401
