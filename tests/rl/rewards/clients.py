"""What processes with a reward client do in tests."""

from __future__ import annotations

import signal
from multiprocessing.connection import Connection

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.smiles import to_smiles
from hydrasurr.rl.rewards.client import RewardClient
from hydrasurr.rl.rewards.service import BudgetSpent
from tests.rl.environment.walks import walked


def evaluate_walks(client: RewardClient, seeds: list[int]) -> dict[str, float]:
    """What the molecules of some random walks are worth, walk by walk."""
    found: dict[str, float] = {}
    for seed in seeds:
        molecules = walked(seed, steps=4)
        found.update(zip(to_smiles(molecules), client(molecules).tolist(), strict=True))
    return found


def spend(client: RewardClient, smiles: list[str]) -> list[str]:
    """The molecules that were answered, three at a time, until the budget was spent."""
    answered: list[str] = []
    try:
        for start in range(0, len(smiles), 3):
            client.ask(smiles[start : start + 3])
            answered += smiles[start : start + 3]
    except BudgetSpent:
        return answered
    return answered


def ask_for_ever(client: RewardClient, pipe: Connection) -> None:
    """Ask, tell that it goes, and tell by which error it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client.ask(["C"])
    pipe.send("going")
    try:
        length = 1
        while True:
            length += 1
            client.ask(["C" * length])
    except HydrasurrError as error:
        pipe.send((type(error).__name__, str(error)))


def ask_at_length(client: RewardClient, pipe: Connection, smiles: list[str]) -> None:
    """Tell that the question is put, and wait for the answer."""
    client.ask(["C"])
    pipe.send("going")
    client.ask(smiles)
    pipe.send("answered")
