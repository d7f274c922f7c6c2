"""The answers of a judge, checked where they enter: one plain `Verdict` per image, which can be
written to a journal and read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hnbench.errors import HnbenchError, PluginError
from hnbench.files.decoding import decode
from hnbench.files.escaping import first_line
from hnbench.guards.answers import as_many, as_number, shown
from hnbench.guards.out_of_memory import is_out_of_memory
from hnbench.suites.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from hnbench.suites.base import Judge


def named(judge: Judge) -> str:
    """The judge's name in a message."""
    return f"the judge {judge.name}"


def verify(judge: Judge) -> None:
    """Run the judge's own check. `UsageError` if it fails, `PluginError` if it raises anything else
    than an error of hnbench or a lack of memory.
    """
    try:
        judge.verify()
    except Exception as error:
        if isinstance(error, HnbenchError) or is_out_of_memory(error):
            raise
        raise PluginError(
            f"{named(judge)} failed its own check: {type(error).__name__}: {first_line(error)}"
        ) from error


def verdicts_of(
    judge: Judge, images: Sequence[Image], metadata: Sequence[Mapping[str, Any]]
) -> list[Verdict]:
    """The judge's verdicts on the images. `PluginError` if they are not one valid `Verdict` per
    image.
    """
    who = named(judge)
    return [
        _checked(who, one)
        for one in as_many(who, judge.judge(images, metadata), len(images), "verdicts")
    ]


def _checked(who: str, given: Any) -> Verdict:
    if not isinstance(given, Verdict):
        raise PluginError(f"{who} gave {shown(given)}; a Verdict is expected for each image")
    if not isinstance(given.correct, bool | None):
        raise PluginError(
            f"{who} gave a verdict whose correct is {shown(given.correct)}; True, False or None is"
            " expected"
        )
    score = None if given.score is None else as_number(who, given.score, "a verdict's score")
    if not isinstance(given.reason, str) or not _is_unicode(given.reason):
        raise PluginError(
            f"{who} gave a verdict whose reason is {shown(given.reason)}; text is expected"
        )
    return Verdict(given.correct, given.reason, score, _details(who, given.details))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _details(who: str, given: Any) -> dict[str, Any]:
    """The details as JSON types: written as JSON and read again, as a journal will do."""
    if not isinstance(given, Mapping):
        raise PluginError(
            f"{who} gave a verdict whose details are {shown(given)}; a mapping of JSON types is"
            " expected"
        )
    try:
        return decode(json.dumps(dict(given), allow_nan=False), dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(
            f"{who} gave a verdict whose details are not JSON ({first_line(error)}); a mapping of"
            " JSON types is expected"
        ) from error
