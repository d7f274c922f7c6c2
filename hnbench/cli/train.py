"""`hnbench train`."""

from __future__ import annotations

import shlex
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import hnbench as api
from hnbench.catalogue.presets import preset_of
from hnbench.cli.options import (
    NAMED,
    PRESET,
    Compile,
    DataFolder,
    DeviceName,
    DtypeName,
    GeneratorName,
    ImageSize,
    Memory,
    PromptPrefix,
    PromptsName,
    TextLength,
    Weights,
)
from hnbench.cli.output import echo
from hnbench.errors import PeerError
from hnbench.guards.interrupts import exit_code_of
from hnbench.hypernetwork.config import PARAMETER
from hnbench.hypernetwork.launch import launched

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = (
    "hnbench train",
    "hnbench train --kind finetune --steps 500 --learning-rate 1e-4",
    "hnbench train --kind regression --pairs 512 --reno-iterations 20",
    "hnbench train --prompts my-prompts.txt --batch-size 16 --out results/my-training",
    "hnbench train --generator sd-turbo --preset paper --dry-run",
    "torchrun --nproc-per-node 2 -m hnbench train --save-every 20",
    "accelerate launch -m hnbench train --generator sd-turbo --batch-size 18 --accumulation 1",
)


def train(
    kind: Annotated[
        Literal["hypernoise", "finetune", "regression"],
        typer.Option(
            "--kind",
            help=(
                "A noise hypernetwork trained by the rewards, the same LoRA on the generator"
                " itself, or a hypernetwork that learns what ReNO adds to noises."
            ),
        ),
    ] = "hypernoise",
    generator: GeneratorName = "shapes",
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Which of the generator's training presets: code or paper. [default: the first]",
        ),
    ] = None,
    optimise: Weights = None,
    prompts: PromptsName = None,
    data_dir: DataFolder = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimizer steps.")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Images per batch, in all processes together."),
    ] = None,
    accumulation: Annotated[
        int | None, typer.Option("--accumulation", help="Batches per optimizer step.")
    ] = None,
    optimizer: Annotated[
        Literal["sgd", "adamw"] | None,
        typer.Option("--optimizer", help=f"What updates the LoRA. {PRESET}"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help=f"The learning rate after the warm-up. {PRESET}"),
    ] = None,
    schedule: Annotated[
        Literal["constant", "cosine"] | None,
        typer.Option("--schedule", help="The course of the learning rate."),
    ] = None,
    gradient_clip: Annotated[
        float | None, typer.Option("--gradient-clip", help="The largest norm of the gradient.")
    ] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="The LoRA's rank.")] = None,
    lora_alpha: Annotated[
        float | None, typer.Option("--lora-alpha", help="The LoRA is scaled by alpha / rank.")
    ] = None,
    lora_dtype: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(
            "--lora-dtype", help="The type in which the LoRA's weights are stored and updated."
        ),
    ] = None,
    target_pattern: Annotated[
        str | None,
        typer.Option(
            "--target-pattern",
            help=(
                "A regular expression on layer names. [default: every linear and convolution layer]"
            ),
        ),
    ] = None,
    regulariser_weight: Annotated[
        float | None,
        typer.Option(
            "--regulariser-weight",
            help="hypernoise: the weight of the penalty on the change of the noise.",
        ),
    ] = None,
    regulariser_reduction: Annotated[
        Literal["sum", "mean"] | None,
        typer.Option(
            "--regulariser-reduction", help="hypernoise: sum as in the paper, mean as in its code."
        ),
    ] = None,
    image_penalty: Annotated[
        float | None,
        typer.Option(
            "--image-penalty",
            help="finetune: the weight of the penalty on the change of the image.",
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            "--pairs", help="regression: how many noises ReNO improves before the first step."
        ),
    ] = None,
    reno_iterations: Annotated[
        int | None,
        typer.Option("--reno-iterations", help="regression: ReNO's iterations for each of them."),
    ] = None,
    reno_learning_rate: Annotated[
        float | None,
        typer.Option("--reno-learning-rate", help=f"regression: ReNO's learning rate. {PRESET}"),
    ] = None,
    image_size: ImageSize = None,
    prompt_prefix: PromptPrefix = None,
    max_sequence_length: TextLength = None,
    memory: Memory = "none",
    compile: Compile = False,
    seed: Annotated[
        int, typer.Option("--seed", help="The seed of first weights, prompts and noises.")
    ] = 0,
    save_every: Annotated[
        int | None,
        typer.Option(
            "--save-every",
            help=f"Steps between two saved states; a Ctrl-C or SIGTERM saves one too. {PRESET}",
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            "--eval-every", help=f"Steps between two evaluations on held-out prompts. {PRESET}"
        ),
    ] = None,
    device: DeviceName = "auto",
    dtype: DtypeName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help=f"The training's folder. {NAMED}")
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="TRACKER",
            help="Give the log to tensorboard, wandb or trackio too. May be given several times.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the effective configuration, and load and write nothing."
        ),
    ] = False,
) -> None:
    """Train a noise hypernetwork, by the rewards or by regression, or fine-tune the generator.

    The same command again continues a training that was interrupted. Defaults come from the
    generator's preset. Under torchrun or accelerate launch, several processes share each batch.
    """
    asked: dict[str, Any] = {
        "kind": kind,
        "generator": generator,
        "preset": preset,
        "optimise": optimise,
        "prompts": prompts,
        "data_dir": data_dir,
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
        "seed": seed,
        "save_every": save_every,
        "eval_every": eval_every,
        "device": device,
        "dtype": dtype,
        "out": out,
        "log": log,
    }
    main = launched().main
    with _one_message(main=main):
        if dry_run:
            for line in api.plan_training(**asked).lines:
                echo(line)
            return
        found = api.train(**asked)
    if not main:
        return
    suite = preset_of(generator).suite or "SUITE"
    command = ["hnbench", "run", "--suite", suite, "--generator", generator]
    echo(f"The adapter is in {found.adapter}. To compare it:")
    echo(shlex.join([*command, f"--{PARAMETER[kind]}", str(found.adapter)]))


@contextmanager
def _one_message(*, main: bool) -> Iterator[None]:
    """Within the block, an interrupt ends a process other than the main one without a message,
    because all processes end by the same one. A process that ends because another one did is not
    disturbed by the launcher, which then terminates all.
    """
    try:
        yield
    except PeerError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    except KeyboardInterrupt as interrupt:
        if main:
            raise
        raise typer.Exit(exit_code_of(interrupt)) from None
