"""Moved for a moment."""
from hydrasurr.rl.executors.pool import *  # noqa: F403
from hydrasurr.rl.executors.pool import TaskRun, Result, Progress, run_tasks  # noqa: F401
