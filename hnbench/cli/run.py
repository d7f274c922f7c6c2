"""`hnbench run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import hnbench as api
from hnbench.cli import completion
from hnbench.cli.options import (
    NAMED,
    AmortisedName,
    BaseSeed,
    Compile,
    DeviceName,
    DtypeName,
    FinetunedName,
    GeneratorName,
    HeldOut,
    HypernetworkName,
    ImageSize,
    Memory,
    PromptPrefix,
    ShardName,
    StepsPerImage,
    TextLength,
    Weights,
)
from hnbench.cli.output import note, show_shard
from hnbench.cli.report import show_existing, write_and_show
from hnbench.cli.several_suites import runs_of
from hnbench.errors import SampleFailure

if TYPE_CHECKING:
    from hnbench.api.run import FinishedRun

EXAMPLES = (
    "hnbench run --suite geneval-shapes",
    "hnbench run --suite geneval-shapes --method best-of-n:n=16 --method hypernoise --limit 24",
    "hnbench run --suite geneval-shapes --full --seed 1 --hypernetwork results/my-training/adapter",
    "hnbench run --suite geneval-shapes --optimise shapes-resnet=1.0 --method reno:iterations=20",
    "hnbench run --suite geneval-shapes --shard 2/3",
    "hnbench run --suite geneval --suite t2i-compbench:color --generator sd-turbo --out results/sd",
    "hnbench run --suite geneval --generator sana-sprint-1.6b --gpus all",
    "torchrun --nproc-per-node 8 -m hnbench run --suite geneval --generator sana-sprint-1.6b",
)


def run(
    suite: Annotated[
        list[str],
        typer.Option(
            "--suite",
            autocompletion=completion.suites,
            metavar="NAME[:PART]|FILE",
            help=(
                "Prompts, protocol and judge; see `hnbench list suites`. A text, CSV, TSV, JSONL or"
                " JSON file of prompts has no judge. Repeatable: one run after another, each with a"
                " folder and a report of its own."
            ),
        ),
    ],
    generator: GeneratorName = "shapes",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            autocompletion=completion.methods,
            metavar="[LABEL=]NAME[:K=V,...]",
            help=(
                "A method; repeatable, also with other parameters. LABEL names its row. random"
                " always runs too. [default: best-of-n, reno, hypernoise, finetune and two"
                " controls]"
            ),
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The suite's full protocol instead of the quick one.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", help="The largest number of prompts, spread over the suite's tasks."
        ),
    ] = None,
    seed: BaseSeed = 0,
    hypernetwork: HypernetworkName = None,
    finetuned: FinetunedName = None,
    amortised: AmortisedName = None,
    optimise: Weights = None,
    hold_out: HeldOut = None,
    batch_size: Annotated[
        str,
        typer.Option(
            "--batch-size",
            metavar="N|auto",
            help=(
                "Samples at a time; results change only by rounding. auto: 32 on a CPU, what fits"
                " on a GPU; a continued run keeps its first one."
            ),
        ),
    ] = "auto",
    device: DeviceName = "auto",
    dtype: DtypeName = None,
    steps: StepsPerImage = None,
    render_steps: Annotated[
        int | None,
        typer.Option(
            "--render-steps",
            min=1,
            help=(
                "Steps of the saved images, if methods that use the reward search with others"
                " (--steps). [default: those of --steps]"
            ),
        ),
    ] = None,
    image_size: ImageSize = None,
    prompt_prefix: PromptPrefix = None,
    max_sequence_length: TextLength = None,
    intermediate_timesteps: Annotated[
        str | None,
        typer.Option(
            "--intermediate-timesteps",
            metavar="ANGLE|even",
            help=(
                "SANA-Sprint in two steps: the angle between them, 0 to 1.5708. 1.3 is the stock"
                " pipeline's, even (0.7854) is that of HyperNoise's code. [default: 1.3]"
            ),
        ),
    ] = None,
    memory: Memory = "none",
    compile: Compile = False,
    noise_policy: Annotated[
        Literal["per-prompt", "shared"],
        typer.Option(
            "--noise-policy",
            help=(
                "per-prompt: each prompt has its own noises; shared: all have the same few, as in"
                " GenEval's script."
            ),
        ),
    ] = "per-prompt",
    out: Annotated[Path | None, typer.Option("--out", help=f"The run's folder. {NAMED}")] = None,
    shard: ShardName = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            "--gpus",
            metavar="all|N,...",
            help="Start one process for each of these GPUs of this machine, as in 0,1.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            help="Start this number of processes on one device; on a CPU, they divide its cores.",
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write and print the report at the end.")
    ] = True,
) -> None:
    """Run methods on a suite and compare them.

    All methods begin from the same prompts and the same starting noise. Their images are saved,
    scored and judged. The same command again continues a run that was interrupted, and one with
    more methods or --full adds to it.
    """
    failures = []
    for name, folder in runs_of(suite, out):
        if len(suite) > 1:
            note(f"the suite {name}")
        found = api.run(
            name,
            generator=generator,
            method=method,
            full=full,
            limit=limit,
            seed=seed,
            hypernetwork=hypernetwork,
            finetuned=finetuned,
            amortised=amortised,
            optimise=optimise,
            hold_out=hold_out,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            steps=steps,
            render_steps=render_steps,
            image_size=image_size,
            prompt_prefix=prompt_prefix,
            max_sequence_length=max_sequence_length,
            intermediate_timesteps=intermediate_timesteps,
            memory=memory,
            compile=compile,
            noise_policy=noise_policy,
            out=folder,
            shard=shard,
            gpus=gpus,
            processes=processes,
        )
        try:
            _tell(found, report=report)
        except SampleFailure as error:
            failures.append(str(error))
    if failures:
        raise SampleFailure("; ".join(failures))


def _tell(found: FinishedRun, *, report: bool) -> None:
    """Print the result of a run. `SampleFailure` if samples failed."""
    if not found.shard.whole:
        note(
            f"{found.shard.name} done: {found.done} of {found.expected} records; the run has"
            f" {found.run_done} of {found.run_expected}"
        )
    elif not found.new:
        note(f"all {found.expected} samples are already done in {found.folder}")
    if not found.complete:
        missing = found.run_expected - found.run_done - found.run_failed
        show_shard(found.shard, f"{missing} records are missing", found.folder)
    elif report and (found.new or not show_existing(found.folder)):
        write_and_show(found)
    if found.failed:
        why = f": {found.commonest}" if found.commonest else ""
        raise SampleFailure(
            f"{found.failed} of {found.expected} samples failed{why}. The same command tries them"
            f" again (see {found.folder})"
        )
