"""Run an iterator ahead of its consumer in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def prefetch(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """The same items, up to `depth` of them made in advance; `depth` 0 means none.

    An exception of `items` is raised here, after the items made before it. Closing this iterator early
    stops the thread.
    """
    if depth == 0:
        yield from items
        return
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
            put(_END)
        except BaseException as error:  # handed to the consumer
            put(error)

    thread = threading.Thread(target=work, name="hydrasurr-prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
