"""What a run learns: the properties of molecules, or the energies and forces of structures."""

from __future__ import annotations

from hydrasurr.stores.info import DatasetInfo
from hydrasurr.training.config import RunConfig
from hydrasurr.training.tasks.base import Comparison, Task
from hydrasurr.training.tasks.forces import METRICS, ForceTask
from hydrasurr.training.tasks.properties import PropertyTask

__all__ = ["Comparison", "ForceTask", "PropertyTask", "Task", "choose_task", "units"]


def choose_task(config: RunConfig, info: DatasetInfo) -> Task:
    """The task of a run on a data set. Raises ConfigError, saying why, if the data set is not fit for it."""
    if config.is_force_field:
        return ForceTask.choose(info, config.model, config.training.loss_weights)
    return PropertyTask.choose(info, config.data)


def units(config: RunConfig, info: DatasetInfo) -> dict[str, str]:
    """The unit of each target that metrics of a run can be told of, by name."""
    targets = [t for kind in METRICS.values() for t in kind] if config.is_force_field else info.targets
    return {target.name: target.unit for target in targets}
