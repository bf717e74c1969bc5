"""What asks a reward service in another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Client, Connection
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.smiles import to_smiles
from hydrasurr.rl.rewards.evaluator import Column
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.rewards.statistics import Statistics


class ServerGone(HydrasurrError):
    """The process of the reward service has ended."""


class RewardClient:
    """Objective of environments that asks a RewardServer on the same node.

    Can be sent to other processes, also by MPI. Connects when first used; several threads may share one.

    Parameters
    ----------
    address, secret : as of the server
    process : number of the server's, for errors; None: it is not known

    Attributes
    ----------
    statistics : of this client: its requests, with the time until the answer arrived. What was evaluated only the
        server knows, see `summary`
    """

    def __init__(self, address: str, process: int | None = None, secret: bytes | None = None):
        self.address, self.process, self._secret = address, process, secret
        self.statistics = Statistics()
        self._connection: Connection | None = None
        self._turn = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return RewardClient, (self.address, self.process, self._secret)

    def __call__(self, molecules: Molecules) -> np.ndarray:
        """float64 `[B]`: what molecules are worth. Raises as `ask` does."""
        return self.ask(to_smiles(molecules))

    def ask(self, smiles: Sequence[str]) -> np.ndarray:
        """float64 `[n]`, as RewardService.ask, and with its errors. Raises ServerGone if the server has ended."""
        start = time.perf_counter()
        try:
            return self._request(list(smiles))
        finally:
            self.statistics.note_call(len(smiles), time.perf_counter() - start)

    def history(self) -> History:
        """All molecules evaluated so far, for any client. Raises ServerGone."""
        return self._request("history")

    def news(self) -> History:
        """As RewardService.news, of the server, whoever asks. Raises ServerGone."""
        return self._request("news")

    def adopt(self, history: History) -> bool:
        """As RewardService.adopt, of the server. Raises ServerGone."""
        return self._request(history)

    def summary(self) -> dict[str, float]:
        """The server's statistics: latency without the way there and back. Raises ServerGone."""
        return self._request("summary")

    def progress(self, top: int) -> dict[str, float]:
        """As RewardService.progress, of the server. Raises ServerGone."""
        return self._request(f"progress {top}")

    @property
    def columns(self) -> list[Column]:
        """Names and units of the columns of `Worth.properties`. Raises ServerGone."""
        return self._request("columns")

    def close(self) -> None:
        """Disconnect; a later request connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, content: list[str] | str | History) -> Any:
        with self._turn:
            try:
                if self._connection is None:
                    self._connection = Client(self.address, "AF_UNIX", self._secret)
                self._connection.send(content)
                answer = self._connection.recv()
            except (EOFError, OSError) as error:
                self.close()
                which = "" if self.process is None else f" (process {self.process})"
                raise ServerGone(f"the reward service{which} is gone: closed, killed, or out of memory") from error
            except BaseException:  # such as Ctrl-C: the answer that is still to come must not meet another request
                self.close()
                raise
        if isinstance(answer, Exception):
            raise answer
        return answer
