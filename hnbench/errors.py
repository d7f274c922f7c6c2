"""Errors that a user can cause and fix.

The command line prints these in one or two lines, without a traceback, and exits with
`exit_code`. Everything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class HnbenchError(Exception):
    """The base: its text says what was given, what was expected and what to type."""

    exit_code = 2


class UsageError(HnbenchError):
    """An argument or a file given by the user cannot be used."""


class UnavailableError(UsageError):
    """A file is not on this machine, and cannot be downloaded now."""


class PluginError(HnbenchError):
    """A method, reward, judge or measure broke its contract; the text names it, what it gave
    and what was expected.
    """


class SampleFailure(HnbenchError):
    """Some samples failed; the run is complete otherwise and the report names them."""

    exit_code = 3


class ProcessFailure(HnbenchError):
    """One of several processes failed; `exit_code` is that of the worst one."""


class StoreError(HnbenchError):
    """A run or training folder is damaged, newer than this version, locked or otherwise
    unusable.
    """

    exit_code = 4


class PeerError(HnbenchError):
    """Another process of the same work has ended, so this one cannot continue."""

    exit_code = 5


def origins(error: BaseException) -> Iterator[BaseException]:
    """The error, then the errors that it came from, each once."""
    seen: set[int] = set()  # a chain of causes may be a circle
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        yield one
        seen.add(id(one))
        one = one.__cause__ or one.__context__
