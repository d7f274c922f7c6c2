"""The preparation of a run's methods: whether each can work on its generator, and what its training
cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hnbench.errors import PluginError
from hnbench.files.escaping import printable
from hnbench.guards.answers import shown
from hnbench.methods.training import Training
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.runs.store import RunStore

LONGEST = 500
"""The most characters of a reason."""


@dataclass(frozen=True)
class Prepared:
    """A run's methods: those that are ready for its generator, and those that cannot run on it."""

    methods: tuple[Method, ...]
    """The methods that can run, the base first."""
    skipped: tuple[tuple[Method, str], ...]
    """The methods that cannot run, each with the reason in one printable line."""
    training: dict[str, Any]
    """The `"training"` of `run.json`: kind of training -> its cost and the prompts that it saw."""

    def reasons(self, store: RunStore) -> dict[str, str]:
        """The `"skipped"` of `run.json`: method's name -> the reason.

        A method that ran in the store's folder before keeps its records; the reason then says how
        many images it has.
        """
        return {method.name: reason + _kept(method, store) for method, reason in self.skipped}


def prepare(
    methods: Sequence[Method], generator: Generator, prompts: Mapping[str, str]
) -> Prepared:
    """Prepare every method that can run on the generator, so that a wrong adapter is refused before
    any work.

    The base must be able to run, so it is not asked (`Method.skip`). `prompts` (id -> text) are
    those of the run: each training says which of them it saw. If two methods use the same kind of
    training, the first one counts. `PluginError` if a method answers something else than its
    contract says.
    """
    texts = sorted(set(prompts.values()))
    methods = [method.among(texts) for method in methods]
    reasons = ["" if one.labels == (BASE,) else _reason(one, generator) for one in methods]
    asked = list(zip(methods, reasons, strict=True))
    ready = tuple(method for method, reason in asked if not reason)
    skipped = tuple((method, reason) for method, reason in asked if reason)
    return Prepared(ready, skipped, _trained(ready, generator, prompts))


def _reason(method: Method, generator: Generator) -> str:
    """Why the method cannot run on this generator; empty if it can."""
    reason = method.skip(generator)
    if reason is None:
        return ""
    if not (isinstance(reason, str) and reason.strip()):
        raise PluginError(
            f"the method {method.name} gave {shown(reason)} as the reason to be skipped; text, or"
            " None for a method that can run, is expected"
        )
    return printable(" ".join(reason.split()))[:LONGEST]


def _kept(method: Method, store: RunStore) -> str:
    labels = set(method.labels)
    found = sum(
        record.label in labels and store.is_done(record.id) for record in store.records.values()
    )
    return f" ({found} images of earlier commands stay in the folder)" if found else ""


def _trained(
    methods: Sequence[Method], generator: Generator, prompts: Mapping[str, str]
) -> dict[str, Any]:
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
