"""Starting processes that are warm at once, and killing them at a moment of one's choice."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from tests.storm import work

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.storm.work"])
PATIENCE = 120
"""Seconds that a process may take."""


@dataclass(frozen=True)
class Aim:
    """When to kill: so many seconds after the process told of its `number`-th `news` (0: after it
    was started).
    """

    news: str
    number: int
    seconds: float

    @staticmethod
    def random(dice: random.Random, news: str, most: int, seconds: float) -> Aim:
        """Somewhere after the first to the `most`-th news; one in twelve from the start on."""
        number = dice.randint(1, most) if dice.random() > 1 / 12 else 0
        return Aim(news, number, dice.uniform(0, seconds) * (1 if number else 10))


@dataclass
class Told:
    """What a process told before it ended."""

    news: list[str] = field(default_factory=list)
    finished: bool = False
    """Whether it ended by itself."""

    def of(self, kind: str) -> list[str]:
        """The news of one kind."""
        return [one.removeprefix(f"{kind} ") for one in self.news if one.startswith(f"{kind} ")]


def start(task: Callable[..., None], folder: Path, *arguments: str, aim: Aim | None = None) -> Told:
    """Run a task of `tests.storm.work` in a process, and kill it when the aim says so. It must not
    end in an error by itself.
    """
    output = folder.with_name(f"{folder.name}.output")
    reader, writer = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=work.child, args=(task, folder, arguments, writer, output))
    process.start()
    writer.close()
    told = Told()
    deadline = time.monotonic() + PATIENCE
    if aim is None:
        _listen(reader, told, lambda: False, deadline)
    else:
        _listen(reader, told, lambda: len(told.of(aim.news)) >= aim.number, deadline)
        time.sleep(aim.seconds)
        process.kill()
    process.join(max(0, deadline - time.monotonic()))
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(
            f"{task.__name__} {arguments} did not end; it said: {output.read_text()}"
        )
    _listen(reader, told, lambda: False, deadline)
    reader.close()
    told.finished = process.exitcode == 0
    assert process.exitcode in (
        0,
        -9,
    ), f"{task.__name__} {arguments} ended in {process.exitcode}; it said: {output.read_text()}"
    return told


def _listen(reader: Connection, told: Told, is_enough: Callable[[], bool], deadline: float) -> None:
    """Note what is told until it is enough, or the process has ended."""
    try:
        while not is_enough() and reader.poll(max(0, deadline - time.monotonic())):
            told.news.append(reader.recv_bytes().decode())
    except (EOFError, OSError):  # it has ended, perhaps in the middle of a word
        return
