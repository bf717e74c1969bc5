"""Fixed shares, whatever tasks cost."""

from __future__ import annotations

from collections.abc import Sequence

from hydrasurr.rl.scheduling.crew import Crew
from hydrasurr.rl.scheduling.scheduler import Lists, blocks
from hydrasurr.rl.scheduling.tasks import Task


class StaticScheduler(Lists):
    """Every worker gets as many tasks: neighbours (block), or each `W`-th one (cyclic).

    Only when a worker dies or comes back are tasks dealt again.
    """

    def __init__(self, crew: Crew, cyclic: bool):
        super().__init__(crew)
        self.cyclic = cyclic

    def add(self, tasks: Sequence[Task], now: float) -> None:
        workers = self.shortest_first()
        count = len(workers)
        shares = [tasks[i::count] for i in range(count)] if self.cyclic else blocks(tasks, count)
        for worker, share in zip(workers, shares, strict=True):
            self.put(worker, share)

    def lost(self, worker: int, now: float) -> None:
        self.add(self.withdraw([worker]), now)

    def joined(self, worker: int, now: float) -> None:
        self.add(self.withdraw(range(len(self.crew))), now)
