"""Which of a run's methods can work on its generator, and what their training took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hnbench.errors import PluginError
from hnbench.files.escaping import printable
from hnbench.guards.answers import shown
from hnbench.methods.training import Training

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.runs.store import RunStore

LONGEST = 500
"""Characters of a reason."""


def reasons_to_skip(
    methods: Sequence[Method], generator: Generator, store: RunStore
) -> dict[str, str]:
    """Method's name -> why it cannot run on this generator, in one printable line, for those that
    say so (`Method.skip`). The first method is the base, which is not asked.

    A method that ran in this folder before keeps its records there; its reason says how many.
    """
    answers = {method.name: method.skip(generator) for method in methods[1:]}
    for name, reason in answers.items():
        if reason is not None and not (isinstance(reason, str) and reason.strip()):
            raise PluginError(
                f"the method {name} gave {shown(reason)} as the reason to be skipped; text, or None"
                " for a method that can run, is expected"
            )
    return {
        method.name: printable(" ".join(reason.split()))[:LONGEST] + _kept(method, store)
        for method in methods[1:]
        if (reason := answers[method.name]) is not None
    }


def _kept(method: Method, store: RunStore) -> str:
    labels = set(method.labels)
    found = sum(
        record.label in labels and store.is_done(record.id) for record in store.records.values()
    )
    return f" ({found} images of earlier commands stay in the folder, unreported)" if found else ""


def prepare(
    methods: Sequence[Method], generator: Generator, prompts: Mapping[str, str]
) -> dict[str, Any]:
    """Prepare every method, so that a wrong adapter is refused before any work.

    The result is the `"training"` of `run.json`: kind of training -> what it took, with the ids of
    those of `prompts` (id -> text) that it saw. Of two methods with one kind the first counts.
    """
    costs: dict[str, Any] = {}
    for method in methods:
        training = method.prepare(generator)
        if training is None:
            continue
        if not isinstance(training, Training):
            raise PluginError(
                f"the method {method.name} gave {shown(training)} when it was prepared; a Training,"
                " or None for a method without one, is expected"
            )
        costs.setdefault(training.kind or method.name, training.to_json(prompts))
    return costs
