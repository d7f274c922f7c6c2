"""Errors of plug-ins, turned into failures of samples."""

from __future__ import annotations

from hnbench.errors import HnbenchError, PluginError
from hnbench.files.escaping import LONGEST, first_line, printable
from hnbench.runs.record import Failure

RECORDED = (Exception, SystemExit)
"""Exceptions of a plug-in that a run survives. `SystemExit` is among them, so that a plug-in that
calls `sys.exit` does not end the run.
"""


def is_for_user(error: BaseException) -> bool:
    """Whether an error ends the work because only the user can fix it. The wrong answer of a
    plug-in does not: it is a failure of its sample.
    """
    return isinstance(error, HnbenchError) and not isinstance(error, PluginError)


def told(failure: Failure) -> str:
    """The failure in a sentence for the user. Messages about a plug-in's wrong answer are complete
    sentences, so the name of the error is not put before them.
    """
    return (
        failure.message
        if failure.type == PluginError.__name__
        else f"{failure.type}: {failure.message}"
    )


def failure_of(error: BaseException) -> Failure:
    """The failure that is recorded for an error: its type and one printable line."""
    return Failure(type=printable(type(error).__name__)[:LONGEST], message=first_line(error))
