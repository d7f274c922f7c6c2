"""The floating-point operations of a training, counted once for each kind of its images."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hnbench.devices.compilation import eager
from hnbench.flops import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hnbench.metering import Meter


class WorkPerImage:
    """The operations of one image of each kind: `"trained"`, `"evaluated"`, `"base"` or `"pair"`.

    They are the same for every image of a kind, so one image is made for the count alone, and its
    passes are not those of the training.
    """

    def __init__(self, meter: Meter) -> None:
        """`meter` counts the passes of the training."""
        self._meter = meter
        self._known: dict[str, int | None] = {}

    def flops(self, kind: str, make: Callable[[], object]) -> int | None:
        """The operations of one image of this kind; `make` makes it. None if `make` fails."""
        if kind not in self._known:
            with _unmetered(self._meter):
                self._known[kind] = _flops_of(make)
        return self._known[kind]


def _flops_of(make: Callable[[], object]) -> int | None:
    try:
        # The first time, texts are encoded. They are kept, so no image is charged for them.
        with eager():
            make()
        with counted() as work:
            make()
    # If this is more than the counter's own failure, the training itself meets it next.
    except Exception:  # noqa: BLE001
        return None
    return work.flops


@contextmanager
def _unmetered(meter: Meter) -> Iterator[None]:
    before = dict(vars(meter))
    try:
        yield
    finally:
        vars(meter).update(before)
