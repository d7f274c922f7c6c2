"""`hnbench.train`: trains a hypernetwork, by the rewards or by regression, or fine-tunes the
generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hnbench.api.arguments import Several, Weights, device_of, options_of
from hnbench.api.trackers import tracked, trackers_of
from hnbench.api.training_arrangement import arrange_training
from hnbench.api.training_page import with_page
from hnbench.api.training_plan import effective_lines
from hnbench.catalogue.loading import Dtype, compile_models, load_generator, load_mixture
from hnbench.display.screen import Screen
from hnbench.hypernetwork.launch import TrainingProcess, is_alone_by_mistake, launched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.api.training_arrangement import TrainingArrangement
    from hnbench.hypernetwork.config import TrainingConfig
    from hnbench.hypernetwork.pairs import NoiseSearch


@dataclass(frozen=True)
class TrainedAdapter:
    """The result of a finished training."""

    folder: Path
    """The training's folder, with its log."""
    adapter: Path
    """The adapter's folder, for `hypernetwork`, `finetuned` or `amortised` of `hnbench.run`."""
    kind: str
    generator: str
    description: dict[str, Any]
    """The adapter's configuration, cost (`training`) and `evaluation`, as in its hnbench.json."""


def train(
    *,
    kind: Literal["hypernoise", "finetune", "regression"] = "hypernoise",
    generator: str = "shapes",
    preset: str | None = None,
    optimise: Weights = None,
    prompts: str | Path | None = None,
    data_dir: str | Path | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    accumulation: int | None = None,
    optimizer: Literal["sgd", "adamw"] | None = None,
    learning_rate: float | None = None,
    schedule: Literal["constant", "cosine"] | None = None,
    gradient_clip: float | None = None,
    rank: int | None = None,
    lora_alpha: float | None = None,
    lora_dtype: Literal["float32", "bfloat16"] | None = None,
    target_pattern: str | None = None,
    regulariser_weight: float | None = None,
    regulariser_reduction: Literal["sum", "mean"] | None = None,
    image_penalty: float | None = None,
    pairs: int | None = None,
    reno_iterations: int | None = None,
    reno_learning_rate: float | None = None,
    image_size: int | None = None,
    prompt_prefix: bool | None = None,
    max_sequence_length: int | None = None,
    memory: str = "none",
    compile: bool = False,
    seed: int = 0,
    save_every: int | None = None,
    eval_every: int | None = None,
    device: str = "auto",
    dtype: Dtype | None = None,
    out: str | Path | None = None,
    log: Several = None,
    progress: bool = True,
) -> TrainedAdapter:
    """Train a noise hypernetwork, by the rewards or by regression onto what ReNO finds with them,
    or fine-tune the generator on the same rewards.

    The same call again continues a training that was interrupted. For None, the value comes from
    the generator's preset. `hnbench train --help` describes the parameters; `progress` shows a bar
    on stderr.

    Under torchrun or accelerate launch, the processes share each batch. All of them return the same
    result; the first one alone writes and shows progress. `batch_size` is that of all together.

    Raises `UsageError` for arguments that cannot be used, and for a training that diverges;
    `StoreError` for a folder of another training, or one that cannot be written; `PeerError` if
    another process has ended.
    """
    settings = {
        "steps": steps,
        "batch_size": batch_size,
        "accumulation": accumulation,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "gradient_clip": gradient_clip,
        "rank": rank,
        "lora_alpha": lora_alpha,
        "lora_dtype": lora_dtype,
        "target_pattern": target_pattern,
        "regulariser_weight": regulariser_weight,
        "regulariser_reduction": regulariser_reduction,
        "image_penalty": image_penalty,
        "pairs": pairs,
        "reno_iterations": reno_iterations,
        "reno_learning_rate": reno_learning_rate,
        "image_size": image_size,
        "prompt_prefix": prompt_prefix,
        "max_sequence_length": max_sequence_length,
        "memory": memory,
        "compile": compile,
        "save_every": save_every,
        "eval_every": eval_every,
    }
    launch = launched()
    trackers = trackers_of(log)
    with Screen(shown=progress and launch.main) as screen:
        wanted = arrange_training(
            screen,
            kind=kind,
            generator=generator,
            preset=preset,
            optimise=optimise,
            prompts=prompts,
            data_dir=data_dir,
            seed=seed,
            dtype=dtype,
            out=out,
            **settings,
        )
        launch.require_divisible(wanted.config.batch_size, wanted.config.accumulation)
        if launch.count > 1:
            screen.note(f"training on {launch}")
        elif is_alone_by_mistake():
            screen.note(
                "training in one process, because on a CPU accelerate starts several only through"
                " MPI; torchrun starts them without it"
            )
        chosen = device_of(device, screen)
        for line in effective_lines(wanted, launch.count, chosen):
            screen.say(line)
        return _train(wanted, (launch, chosen), trackers, screen)


def _train(
    wanted: TrainingArrangement,
    place: tuple[TrainingProcess, str],
    trackers: Sequence[str],
    screen: Screen,
) -> TrainedAdapter:
    """Load all models, and start or continue the training. `place` is this process's among those
    that a launcher started, and the training's device.
    """
    from hnbench.hypernetwork.checkpoint import describe_adapter
    from hnbench.hypernetwork.processes import joined, own_device
    from hnbench.hypernetwork.trainer import Trainer

    launch, device = place[0], own_device(*place)
    config, folder = wanted.config, wanted.folder
    with joined(launch, device) as processes:
        screen.announce(f"loading {config.generator}, {', '.join(config.rewards)}")
        generator = load_generator(config.generator, device, wanted.dtype, **options_of(config))
        rewards = load_mixture(config.rewards, device, wanted.dtype)
        if config.compile:
            compile_models(generator, rewards, screen.note)
        trainer = Trainer(
            config, generator, rewards, wanted.prompts, folder, processes, _search_of(config)
        )
        with (
            screen.training() as display,
            with_page(folder, config.save_every, display, main=launch.main) as paged,
            tracked(trackers, config, folder, paged, main=launch.main) as (progress, show),
        ):
            adapter = trainer.train(progress, show, display.paired)
        description = processes.lead(lambda: dict(describe_adapter(adapter)))
    return TrainedAdapter(folder, adapter, config.kind, config.generator, description)


def _search_of(config: TrainingConfig) -> NoiseSearch | None:
    """The search that makes the pairs of a regression; None for another training."""
    from hnbench.methods.reno import ReNO

    iterations, rate = config.reno_iterations, config.reno_learning_rate
    if iterations is None or rate is None:
        return None
    return ReNO(iterations=iterations, learning_rate=rate)
