"""Which of a run's methods can work on its generator, and what their training took."""

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
"""Characters of a reason."""


@dataclass(frozen=True)
class Prepared:
    """A run's methods, asked and ready for its generator."""

    methods: tuple[Method, ...]
    """Those that can run, the base first."""
    skipped: tuple[tuple[Method, str], ...]
    """Those that cannot, and why, in one printable line."""
    training: dict[str, Any]
    """The `"training"` of `run.json`: kind of training -> what it took."""

    def reasons(self, store: RunStore) -> dict[str, str]:
        """The `"skipped"` of `run.json`: method's name -> why it cannot run.

        A method that ran in the store's folder before keeps its records; its reason counts them.
        """
        return {method.name: reason + _kept(method, store) for method, reason in self.skipped}


def prepare(
    methods: Sequence[Method], generator: Generator, prompts: Mapping[str, str]
) -> Prepared:
    """Prepare every method that can run on the generator, so that a wrong adapter is refused before
    any work.

    The base is not asked whether it can: without it there is nothing to compare with. `prompts`
    (id -> text) are the run's: the training says which of them it saw. Of two methods with one
    kind the first counts.
    """
    reasons = {
        method.name: "" if method.labels == (BASE,) else _reason(method, generator)
        for method in methods
    }
    ready = tuple(method for method in methods if not reasons[method.name])
    skipped = tuple((one, reason) for one in methods if (reason := reasons[one.name]))
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
    return f" ({found} images of earlier commands stay in the folder, unreported)" if found else ""


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
