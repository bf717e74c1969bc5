"""The reward services of a run, one for each machine, and how what they find comes together.

Where the run has processes of its own, the first of them on each machine starts the service. On other machines of a
Ray cluster the workers themselves do, see NodeRewards. Molecules that were evaluated where no learner runs come to a
learner with the results of workers: so they are in its checkpoints, and count against the budget, of which only
learners know.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hydrasurr.loading.shared import node_name
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.rewards.client import RewardClient, ServerGone
from hydrasurr.rl.rewards.evaluator import Column
from hydrasurr.rl.rewards.history import History, merge
from hydrasurr.rl.rewards.server import AddressTaken, RewardServer
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.team import Team

PATIENCE = (0.1, 1.0, 10.0)
"""Seconds between questions to a service that has died: one that is just ending may still let clients in."""


class Meeting(NamedTuple):
    """Where the service of a machine listens if workers start it, and what they must know.

    The address is a name in Linux' abstract namespace: only one process can have it, and it is gone with that process.
    """

    address: str
    secret: bytes

    @classmethod
    def new(cls) -> Meeting:
        return cls(f"\0hydrasurr-{secrets.token_hex(8)}", secrets.token_bytes(32))


class NodeRewards:
    """Objective of a worker on whichever machine: asks the service there.

    Where the run has started none, the worker that first needs one does, and all others of this machine find it. If
    that worker dies, so does its service, and the next one that asks starts another.

    Parameters
    ----------
    config : of the run
    clients : of the services that the run has started, by node
    homes : nodes of learners
    meeting : of workers
    """

    def __init__(
        self, config: DesignConfig, clients: Mapping[str, RewardClient], homes: Collection[str], meeting: Meeting
    ):
        self._config, self._clients, self._homes = config, dict(clients), frozenset(homes)
        self._address, self._secret = meeting
        self._client: RewardClient | None = None
        self._server: RewardServer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_client": None, "_server": None}

    def __call__(self, molecules: Molecules) -> np.ndarray:
        """float64 `[B]`: what molecules are worth. Raises BudgetSpent, and ServerGone if a service of the run ended."""
        for patience in PATIENCE:
            try:
                return self.client(molecules)
            except ServerGone:
                self._forget()
                time.sleep(patience)
        return self.client(molecules)

    def news(self) -> History | None:
        """What was evaluated on this machine since any of its workers last asked; None where a learner keeps it, or if
        the service has died with it."""
        if node_name() in self._homes:
            return None
        try:
            return self.client.news()
        except ServerGone:
            self._forget()
            return None

    def _forget(self) -> None:
        """A service is gone. Raises the error at hand if that is one of the run."""
        if node_name() in self._clients:
            raise
        self._client = None

    @property
    def client(self) -> RewardClient:
        """Of the service of this machine."""
        if self._client is None:
            self._client = self._clients.get(node_name()) or self._find()
        return self._client

    def _find(self) -> RewardClient:
        client = RewardClient(self._address, secret=self._secret)
        while True:
            try:
                client.progress(1)
                return client
            except ServerGone:
                config = self._config
                try:
                    self._server = RewardServer(
                        config.objective,
                        threads=config.running.threads,
                        address=self._address,
                        secret=self._secret,
                    )
                except AddressTaken:  # by another worker, just now
                    continue


@dataclass(frozen=True)
class Rewards:
    """The services of a run, for one of its processes.

    Attributes
    ----------
    client : of the service of this node
    nodes : for workers, wherever they are
    finish : gives all molecules that were evaluated, and what is known of each; called by all processes together, when
        no worker is at work
    """

    client: RewardClient
    nodes: NodeRewards
    finish: Callable[[], tuple[History, list[Column]]]


@contextmanager
def open_rewards(config: DesignConfig, team: Team, history: History | None = None) -> Iterator[Rewards]:
    """Start the services; called by all processes together.

    Parameters
    ----------
    history : of a learner that goes on with a run, what is in its checkpoint
    """
    node, learns = node_name(), team.role == "learner"
    places = team.exchange((node, learns, history, Meeting.new()))
    mine = [place for place, *_ in places].index(node) == team.number
    homes = list(dict.fromkeys(place for place, learner, *_ in places if learner))
    # A learner's node knows what its learners have saved; another one what any of them has: that need not be told.
    parts = [part for place, _, part, _ in places if part is not None and (place == node or node not in homes)]
    history, share = merge(parts) if parts else None, None
    if config.budget is not None and node in homes:
        share = (config.budget + homes.index(node)) // len(homes)
    with ExitStack() as stack:
        server = None
        if mine:
            server = stack.enter_context(RewardServer(config.objective, share, history, config.running.threads))
        told = team.exchange((node, server.client) if server else None)
        clients = dict(filter(None, told))
        client = clients[node]

        def finish() -> tuple[History, list[Column]]:
            parts = team.exchange(client.history() if server else None)
            return merge([part for part in parts if part is not None]), client.columns

        yield Rewards(client, NodeRewards(config, clients, homes, places[0][-1]), finish)
        team.exchange(None)  # nobody asks any more
