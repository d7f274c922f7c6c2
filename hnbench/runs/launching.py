"""Starts one process for each device of this machine and follows them as one run.

Each process is an ordinary `hnbench run` with a shard and a device of its own. The progress of all
is what their journals have.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from hnbench.guards.interrupts import Terminated
from hnbench.runs.journals import journals_of
from hnbench.runs.manifest import read_manifest
from hnbench.runs.plan import Plan
from hnbench.runs.store import read_run, with_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hnbench.runs.execute import RunProgress
    from hnbench.runs.shards import Shard

PAUSE = 0.25
"""Seconds between two looks at the processes."""
LAST_LINES = 12
"""The lines that are shown of a process that failed."""

VARIABLES_OF_RUN = "HNBENCH_RUN_"
"""The beginning of the environment variables that are options of `hnbench run`."""


THREADS = "OMP_NUM_THREADS"
"""The variable that decides the number of threads of a process on the CPU. Without it, each process
would use all cores, and they would wait for each other.
"""


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    name: str
    """Its device and shard, for messages."""
    code: int
    """Its exit code; 128 plus the number of the signal that killed it."""
    lines: tuple[str, ...]
    """The last lines that it printed."""


@dataclass(frozen=True)
class Launched:
    """The processes as they ended, and the Ctrl-C or SIGTERM that was passed on to them, if any."""

    ended: tuple[Ended, ...]
    interrupt: KeyboardInterrupt | None
    written: int
    """The number of records that they wrote."""

    @property
    def worst(self) -> Ended:
        """The process with the worst exit code: failed samples (3) are better than any error."""
        return max(self.ended, key=lambda one: (one.code not in (0, 3), one.code))


def cores_for_each(processes: int) -> int:
    """The number of this machine's cores for each of some processes, at least 1."""
    # macOS and Windows cannot say which cores a process may use.
    own = getattr(os, "sched_getaffinity", None)
    cores = len(own(0)) if own else os.cpu_count() or 1
    return max(1, cores // processes)


def launch(
    commands: Sequence[tuple[str, Sequence[str]]],
    shard: Shard,
    folder: Path,
    progress: RunProgress,
    *,
    threads: int | None = None,
) -> Launched:
    """Start a process for each (name, arguments of `hnbench`), and wait until all have ended.
    Together they compute `shard` of the run in `folder`. `threads` is the number for each on the
    CPU, unless the environment says it.

    Ctrl-C and SIGTERM are passed on to the processes, which end in order; a second one is passed on
    too. If one process fails, the others go on, because their records are needed in any case.
    """
    followed = _Followed(folder, shard, progress, f"{len(commands)} processes")
    # The arguments are those of the whole call, its variables included. What they leave out has its
    # default.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(VARIABLES_OF_RUN)
    }
    if threads is not None:
        environment.setdefault(THREADS, str(threads))
    outputs = [tempfile.TemporaryFile() for _ in commands]  # noqa: SIM115
    processes = [
        # A group of its own: a terminal sends Ctrl-C to all processes of a group, and two of them
        # would stop a process in the middle of a batch.
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "hnbench", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
        for (_, arguments), output in zip(commands, outputs, strict=True)
    ]
    try:
        interrupt = _wait(processes, followed)
        followed.look()
    finally:
        for process in processes:
            process.terminate()  # if something failed here; does nothing to those that ended
    progress.done()
    ended = tuple(
        Ended(name, _code(process.returncode), _last_lines(output))
        for (name, _), process, output in zip(commands, processes, outputs, strict=True)
    )
    return Launched(ended, interrupt, followed.written)


def _wait(
    processes: Sequence[subprocess.Popen[bytes]], followed: _Followed
) -> KeyboardInterrupt | None:
    """Wait until all processes have ended. Returns the last signal that was passed on to them."""
    interrupt = None
    while any(process.poll() is None for process in processes):
        try:
            time.sleep(PAUSE)
            followed.look()
        except KeyboardInterrupt as error:
            interrupt = error
            for process in processes:
                process.send_signal(
                    signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
                )
    return interrupt


def _code(returned: int) -> int:
    return returned if returned >= 0 else 128 - returned


def _last_lines(output: IO[bytes]) -> tuple[str, ...]:
    with output:
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").splitlines()
    return tuple(line for line in lines if line.strip())[-LAST_LINES:]


class _Followed:
    """Shows the records that appear in a run's journals."""

    def __init__(self, folder: Path, shard: Shard, progress: RunProgress, name: str) -> None:
        self._folder, self._shard, self._progress, self._name = folder, shard, progress, name
        self._old = {path.name for path in journals_of(folder)}
        there = read_manifest(folder)
        self._sessions = 0 if there is None else len(there.get("sessions", []))
        self._done = (
            set()
            if there is None
            # A record whose image was lost is made again, with its image.
            else with_image(folder, read_run(folder).records)
        )
        self._started = False
        self._sizes: dict[str, int] = {}
        self.written = 0

    def look(self) -> None:
        """Show what was written since the last look."""
        if not self._started:
            self._started = self._start()
        if self._started:
            new = sum(self._new_lines(path) for path in journals_of(self._folder))
            self.written += new
            self._progress.advance(new)

    def _start(self) -> bool:
        """Begin when the first process has written its plan."""
        manifest = read_manifest(self._folder)
        if manifest is None or len(manifest.get("sessions", [])) == self._sessions:
            return False
        plan = Plan.from_manifest(manifest)
        prompts = self._shard.prompts(plan)
        ids = [item.id for item in plan.expected() if item.task.prompt_id in prompts]
        self._progress.start(len(ids))
        self._progress.advance(sum(one in self._done for one in ids))
        self._progress.label(self._name)
        return True

    def _new_lines(self, path: Path) -> int:
        """The whole lines of a journal of these processes that were not counted yet."""
        if path.name in self._old:
            return 0
        with path.open("rb") as file:
            file.seek(self._sizes.get(path.name, 0))
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._sizes[path.name] = self._sizes.get(path.name, 0) + len(whole)
        return whole.count(b"\n")
