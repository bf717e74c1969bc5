"""The agent of a closed loop: a design run for each round, which goes on from the agent of the round before."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.episodes import EpisodeConfig
from hydrasurr.rl.learners.choice import LearnerConfig
from hydrasurr.rl.learners.ppo import PPOConfig
from hydrasurr.rl.policy.file import read_policy
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.running.config import DesignConfig, PolicyModelConfig, RunningConfig
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.history_state import history_from
from hydrasurr.rl.running.run import run
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.strict import Strict


class AgentConfig(Strict):
    """The `agent` section of a loop: the sections of a design run, whose objective is that of the loop."""

    environment: EpisodeConfig = EpisodeConfig()
    model: PolicyModelConfig = PolicyModelConfig()
    learner: LearnerConfig = PPOConfig()
    running: RunningConfig = RunningConfig()
    scheduling: SchedulingConfig = SchedulingConfig()
    frames: int = Field(50_000, ge=1)
    """Actions in each round."""
    budget: int | None = Field(None, ge=1)
    """Different molecules that may be evaluated in each round. null: any number."""
    goes_on: bool = True
    """Begin each round with the policy of the round before; false: anew."""

    def design(self, name: str, objective: ObjectiveConfig, seed: int) -> DesignConfig:
        """The design run of a round."""
        own = {key: getattr(self, key) for key in type(self).model_fields if key != "goes_on"}
        return DesignConfig(name=name, objective=objective, seed=seed, **own)


def design_round(
    config: AgentConfig, objective: ObjectiveConfig, folder: Path, earlier: Path | None, seed: int
) -> History:
    """What an agent finds; a run that was stopped is gone on with.

    Parameters
    ----------
    folder : of this round's run
    earlier : of the round before, whose policy this one begins with
    """
    start = None
    if config.goes_on and earlier is not None:
        start, _ = read_policy(DesignFolder(earlier).policy)
    design, files = config.design(folder.parent.name, objective, seed), DesignFolder(folder)
    if not run(design, files, resume=True, start=start):
        raise HydrasurrError(f"the agent was stopped; start the loop again, and it goes on in '{folder}'")
    return history_from(files.load_part(0, 1)["history"])
