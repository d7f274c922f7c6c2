"""The commands as a user types them, in this process: with toys for models, a time limit, and
standard streams of their own.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hnbench.cli.app import main

EXIT_CODES = (0, 2, 3, 4)
"""What a command may end in here: nobody interrupts it."""
SECONDS = 60
"""That a command may take: far more than any needs where other work shares the cores."""
_WARNING = re.compile(r"\b\w+Warning: .{0,60}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Hang(BaseException):
    """A command that took too long. No `Exception`, so that no command takes it for an error of its
    own.
    """


@dataclass(frozen=True)
class Called:
    """What became of a command."""

    arguments: tuple[str, ...]
    code: int | None
    """The exit code; None where there is none."""
    output: str
    """Of both standard streams."""
    error: str = ""
    """Of an exception that is not the user's to see: its last line, and where it was raised."""

    @property
    def warnings(self) -> list[str]:
        """The kinds of Python's own warnings that a user would see."""
        return _WARNING.findall(self.output)

    @property
    def fault(self) -> str:
        """What is wrong with it, or nothing."""
        if self.error:
            return self.error
        if self.code not in EXIT_CODES:
            return f"exit code {self.code}"
        if "out of memory" in self.output:
            return "out of memory"
        found = _CONTROL.search(self.output)
        return f"a raw control character {found[0]!r} in its output" if found else ""


def call(*arguments: str, seconds: int = SECONDS) -> Called:
    """Run one command line; warnings are noted on its standard error, as they are for a user."""
    kept = [_Kept(), _Kept()]
    code: int | None = None
    error = ""
    with _streams(*kept), _limit(seconds), warnings.catch_warnings():
        warnings.simplefilter("default")
        sys.argv = ["hnbench", *arguments]
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except (
            Exception,  # noqa: BLE001
            Hang,
            KeyboardInterrupt,
        ) as raised:
            error = _place(raised)
    output = "".join(one.getvalue().decode("utf-8", "backslashreplace") for one in kept)
    return Called(
        arguments,
        code,
        output,
        error or ("a printed traceback" if "Traceback (most recent" in output else ""),
    )


class _Kept(io.BytesIO):
    """Bytes that are there after the stream around them is gone."""

    def close(self) -> None:
        pass


@contextmanager
def _streams(out: io.BytesIO, err: io.BytesIO) -> Iterator[None]:
    kept, argv = (sys.stdout, sys.stderr), sys.argv
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(out, encoding="utf-8"),
        io.TextIOWrapper(err, encoding="utf-8"),
    )
    try:
        yield
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        (sys.stdout, sys.stderr), sys.argv = kept, argv


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"it took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(
        signal.ITIMER_REAL, seconds, 1
    )  # again: one could be lost in a thread that is waited for
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if f"{os.sep}hnbench{os.sep}" in frame.filename and "site-packages" not in frame.filename
    ]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}" if own else "?"
    return f"{type(error).__name__} in {place}: {str(error)[:120]!r}"
