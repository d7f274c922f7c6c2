"""The library's errors name parameters by their Python names; this turns them into flags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_IN_BACKTICKS = re.compile(r"`([a-z][a-z_]*)`")


def with_flags(message: str, options: Collection[str]) -> str:
    """The message with each parameter in backticks as its flag: `batch_size` as --batch-size.

    `options` are a command's flags, such as "--batch-size". Any other name stays as it is.
    """

    def flag_of(found: re.Match[str]) -> str:
        flag = f"--{found[1].replace('_', '-')}"
        return flag if flag in options else found[0]

    return _IN_BACKTICKS.sub(flag_of, message)
