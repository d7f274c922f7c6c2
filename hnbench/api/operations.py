"""The floating-point operations (FLOPs) of a run, known before any model is loaded.

They follow from the passes that the methods announce (`Method.passes`) and from the operations of a
pass of each named model (`hnbench.catalogue.operations`). An image takes a pass of the backbone for
each step, and one of the decoder; a prediction takes one pass of the backbone. With one step more,
an image has one generator pass more and a prediction has not, which tells the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.catalogue import registry
from hnbench.catalogue.loading import is_place
from hnbench.catalogue.operations import Operations, operations_of
from hnbench.config import memory_policies
from hnbench.reports.costs import TFLOPS, with_unit
from hnbench.runs.steps import Steps
from hnbench.runs.workload import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hnbench.api.arrangement import Arrangement
    from hnbench.catalogue.operations import Part
    from hnbench.config import RunConfig
    from hnbench.hypernetwork.config import TrainingConfig
    from hnbench.methods.base import Method
    from hnbench.runs.workload import Workload

RECOMPUTING = {"checkpoint-decoder", "checkpoint-all", "offload-blocks"}
"""The memory policies with which a backward pass computes a part of the forward pass again."""


class UnknownOperationsError(Exception):
    """The reason why operations are not known in advance."""


@dataclass(frozen=True)
class KnownOperations:
    """The operations of a run's methods, as far as they are known in advance."""

    per_task: Mapping[str, int]
    """Method's name (`hnbench.runs.workload.name_of`) -> FLOPs for one task, over all labels."""
    unknown: Mapping[str, str]
    """Method's name -> the reason why its operations are not known."""

    def sentence(self, work: Workload) -> str:
        """The operations of the whole run, and the methods that they do not include."""
        reasons: dict[str, list[str]] = {}
        for name, reason in self.unknown.items():
            reasons.setdefault(reason, []).append(name)
        unknown = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
        if not self.per_task:
            return f"operations: unknown ({'; '.join(reasons)})"
        total = sum(self.per_task.get(one.name, 0) * one.tasks for one in work.methods)
        known = (
            f"operations: {with_unit(TFLOPS, total / 1e12)}, counted in advance for these models"
        )
        return f"{known}; unknown for {unknown}" if unknown else known


def operations_of_run(asked: Arrangement, methods: Sequence[Method]) -> KnownOperations:
    """The operations of these methods on the generator and the optimised rewards of a run. Held-out
    rewards and judges are no part of a method's cost.
    """
    per_task: dict[str, int] = {}
    unknown: dict[str, str] = {}
    for method in methods:
        try:
            per_task[name_of(method)] = _flops(method, asked)
        except UnknownOperationsError as reason:
            unknown[name_of(method)] = str(reason)
    return KnownOperations(per_task, unknown)


def _flops(method: Method, asked: Arrangement) -> int:
    """The FLOPs of one task."""
    # Adapters and methods need torch, and the command line imports this module when it starts.
    from hnbench.methods.relabelled import Relabelled

    if isinstance(method, Relabelled):  # other labels, and the same work
        method = method.method
    run_steps = Steps(asked.config.steps, asked.config.render_steps)
    steps = run_steps.of_proposals(method)
    passes, more = method.passes(steps), method.passes(steps + 1)
    if passes is None or more is None:
        raise UnknownOperationsError("it does not announce its passes")
    _refuse_uncounted(method)
    generator = generator_operations(asked.config, backward=passes.generator_backward > 0)
    image, prediction = _backbones(method, asked, generator)
    decoder = generator["decoder"]
    images = more.generator_forward - passes.generator_forward
    images_back = more.generator_backward - passes.generator_backward
    predictions = passes.generator_forward - images * steps
    predictions_back = passes.generator_backward - images_back * steps
    if min(images, images_back, predictions, predictions_back) < 0:
        raise UnknownOperationsError("its passes do not grow evenly with the steps")
    rendered = len(method.labels) if run_steps.are_apart_for(method) else 0
    total = (
        rendered * (run_steps.of_image() * image.forward + decoder.forward)
        + images * (steps * image.forward + decoder.forward)
        + images_back * (steps * image.backward + decoder.backward)
        + predictions * prediction.forward
        + predictions_back * prediction.backward
    )
    if passes.reward_forward or passes.reward_backward:
        for reward in reward_operations(asked.config.optimised):
            total += passes.reward_forward * reward.forward
            total += passes.reward_backward * reward.backward
    return total


def _refuse_uncounted(method: Method) -> None:
    """Refuse methods that ask other models than the generator and the reward."""
    if method.sees_judge:
        raise UnknownOperationsError("nobody counted those of its judge")
    # As in `_backbones`: methods need torch.
    from hnbench.methods.prompt_search import PromptSearch

    if isinstance(method, PromptSearch):
        raise UnknownOperationsError("new prompts are encoded, and a rewriter works")


def generator_operations(
    config: RunConfig | TrainingConfig, *, backward: bool
) -> Mapping[Part, Operations]:
    """The passes of a generator with these options, whose `backward` passes are needed or not.
    `UnknownOperationsError` if they were not counted.
    """
    found = operations_of(config.generator)
    if is_place(config.generator) or not found:
        raise UnknownOperationsError(f"nobody counted those of {config.generator}")
    default = registry.GENERATORS.entry(config.generator).image_size
    if config.image_size not in (None, default):
        raise UnknownOperationsError(
            f"those of {config.generator} are known at {default} pixels only"
        )
    if config.max_sequence_length is not None:
        raise UnknownOperationsError(
            f"those of {config.generator} are known without `max_sequence_length` only"
        )
    recomputing = sorted(RECOMPUTING & set(memory_policies(config.memory)))
    if backward and recomputing:
        raise UnknownOperationsError(f"with {', '.join(recomputing)}, backward passes compute more")
    return found


def _backbones(
    method: Method, asked: Arrangement, generator: Mapping[Part, Operations]
) -> tuple[Operations, Operations]:
    """The passes of the backbone of an image and of a prediction."""
    # Adapters need torch, and the command line imports this module when it starts.
    from hnbench.hypernetwork.checkpoint import describe_adapter, is_described
    from hnbench.hypernetwork.config import OF_NOISE
    from hnbench.hypernetwork.foreign import recognise
    from hnbench.methods.adapted import AdapterMethod

    plain = generator["backbone"]
    if not isinstance(method, AdapterMethod):
        return plain, plain
    if method.kind == "finetune" and not (checkpoint := recognise(method.adapter)).is_lora:
        if checkpoint.form == "pipeline":
            raise UnknownOperationsError("nobody counted those of its own pipeline")
        return plain, plain
    adapted = generator["hypernetwork" if method.kind in OF_NOISE else "finetuned"]
    if is_described(method.adapter):
        parameters = describe_adapter(method.adapter).get("parameters")
    elif isinstance(asked.adapters.get(method.kind), str):
        parameters = adapted.parameters  # the preset's own adapter, made by the preset's training
    else:
        parameters = None
    if parameters != adapted.parameters:
        raise UnknownOperationsError(
            f"its adapter has other layers or another rank than {asked.config.generator}'s own"
        )
    return (plain, adapted) if method.kind in OF_NOISE else (adapted, plain)


def reward_operations(names: Iterable[str]) -> list[Operations]:
    """The passes of these rewards. `UnknownOperationsError` if one was not counted."""
    known = {name: operations_of(name) for name in names}
    missing = [name for name, parts in known.items() if not parts]
    if missing:
        raise UnknownOperationsError(f"nobody counted those of {', '.join(missing)}")
    return [parts["reward"] for parts in known.values()]
