"""From an error of a plug-in to the failure of a sample."""

from __future__ import annotations

from hnbench.errors import HnbenchError, PluginError
from hnbench.files.escaping import LONGEST, first_line, printable
from hnbench.runs.record import Failure

RECORDED = (Exception, SystemExit)
"""Exceptions of a plug-in that a run survives; even a plug-in that asks Python to exit."""


def is_for_user(error: BaseException) -> bool:
    """Whether an error ends the work, because only the user can fix it; a plug-in's wrong answer
    is a failure of its sample instead.
    """
    return isinstance(error, HnbenchError) and not isinstance(error, PluginError)


def told(failure: Failure) -> str:
    """The failure in a sentence for the user; what a plug-in's wrong answer was needs no name of an
    error before it.
    """
    return (
        failure.message
        if failure.type == PluginError.__name__
        else f"{failure.type}: {failure.message}"
    )


def failure_of(error: BaseException) -> Failure:
    """The error as what is recorded of its sample: type and one printable line."""
    return Failure(type=printable(type(error).__name__)[:LONGEST], message=first_line(error))
