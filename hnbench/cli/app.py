"""The command line. Every command is a few lines that call the library; results go to stdout, all
else to stderr.

Exit codes: 0 all is well, 2 wrong usage, 3 some samples failed, 4 a run or training folder cannot
be used, 130 interrupted, 143 terminated. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from hnbench import __version__
from hnbench.catalogue import registry
from hnbench.catalogue.loading import (
    Dtype,
    check_generator,
    choose_device,
    dtype_of,
    find_adapter,
    load_generator,
    load_mixture,
    load_reward,
    make_methods,
    parse_angle,
    parse_weights,
    parts_of,
    prepare_adapters,
    training_settings,
)
from hnbench.catalogue.presets import preset_of
from hnbench.catalogue.training_prompts import find_prompts, is_set
from hnbench.cli.flags import with_flags
from hnbench.cli.streams import prepare
from hnbench.errors import HnbenchError, SampleFailure, StoreError, UsageError
from hnbench.files.escaping import printable
from hnbench.files.names import OF_MODELS, plain_name
from hnbench.files.prompt_files import file_name
from hnbench.files.writing import ADVICE, writing
from hnbench.guards.interrupts import exit_code_of, heed_sigterm
from hnbench.guards.out_of_memory import first_line, is_out_of_memory
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hnbench.catalogue.presets import Preset
    from hnbench.config import RunConfig
    from hnbench.hypernetwork.config import TrainingConfig
    from hnbench.runs.execute import Tally
    from hnbench.suites.base import Suite

RESULTS = Path("results")
PRESET = "[default: the preset's]"
NAMED = "[default: results/ and a name that says what it is]"


OTHER_DEVICE = (
    "end what else uses the memory, or give another --device; what was written is kept, and the"
    " same command continues"
)
MORE_MEMORY = {
    "run": (
        "give --memory checkpoint-decoder,offload-text, --dtype bfloat16 or a smaller"
        f" --image-size; {OTHER_DEVICE}"
    ),
    "train": (
        "give --memory checkpoint-all,offload-text, which changes no result: the same command with"
        " it continues from the state that was saved last. Or train anew in another folder, with a"
        " smaller --batch-size and more --accumulation, or a smaller --image-size"
    ),
    "diagnose": (
        "give a smaller --batch-size or --image-size, or --memory checkpoint-all,offload-text;"
        f" {OTHER_DEVICE}"
    ),
}
"""What to do without enough memory, by command. `run`, `score` and `measure` have halved their
batches before, down to one image.
"""


BadUsage: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises of arguments; it has no name for it."""


class Commands(TyperGroup):
    """Errors that a user can mend are one or two lines on stderr, and an exit code."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments before the command's name."""
        with _printable_usage():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with _printable_usage():
                return super().invoke(ctx)
        except (HnbenchError, RuntimeError, MemoryError, ImportError) as error:
            if is_out_of_memory(error):
                _echo(
                    f"hnbench: out of memory ({first_line(error)});"
                    f" {MORE_MEMORY.get(ctx.invoked_subcommand, OTHER_DEVICE)}",
                    err=True,
                )
                raise typer.Exit(UsageError.exit_code) from None
            if not isinstance(error, HnbenchError):
                raise
            _echo(f"hnbench: {with_flags(str(error), self._flags(ctx))}", err=True)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno not in ADVICE:  # a bug, or the network
                raise
            _echo(f"hnbench: {_named(error)}{error.strerror}; {ADVICE[error.errno]}", err=True)
            raise typer.Exit(StoreError.exit_code) from None
        except KeyboardInterrupt as signal:
            _echo(
                "hnbench: interrupted; the same command continues:"
                f" {shlex.join(['hnbench', *sys.argv[1:]])}",
                err=True,
            )
            raise typer.Exit(exit_code_of(signal)) from None

    def _flags(self, ctx: Any) -> set[str]:
        """The flags of the command that was asked for."""
        command = self.commands.get(ctx.invoked_subcommand)
        return {flag for option in command.params for flag in option.opts} if command else set()


@contextmanager
def _printable_usage() -> Iterator[None]:
    """Arguments may be names of files that others chose, as in `hnbench report *`."""
    try:
        yield
    except BadUsage as error:
        error.message = printable(error.message)  # type: ignore[attr-defined]
        raise


def _echo(text: str, *, err: bool = False) -> None:
    """Print one line: all of it is text."""
    typer.echo(printable(text), err=err)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes longer to import than all of the rest
    help=(
        "Compare ways to choose the initial noise of a text-to-image model: random, searched,"
        " optimised, or predicted by a hypernetwork."
    ),
    epilog="Begin with: hnbench run --suite geneval-shapes --limit 12",
)


def main() -> None:
    """The console script."""
    prepare()
    heed_sigterm()
    try:
        app(prog_name="hnbench")
    except HnbenchError as error:  # of what is printed before a command begins, such as its help
        _echo(f"hnbench: {error}", err=True)
        sys.exit(error.exit_code)


def _named(error: OSError) -> str:
    return f"{error.filename}: " if error.filename else ""


def examples(*commands: str) -> str:
    """An epilog: one command per line, not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def _print_version(asked: bool) -> None:
    if asked:
        _echo(f"hnbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Options of all commands."""


GeneratorName = Annotated[
    str,
    typer.Option(
        "--generator",
        metavar="NAME|FOLDER|OWNER/NAME[@REVISION]",
        help=(
            "The text-to-image model: see `hnbench list generators`; or a diffusers pipeline's"
            " folder or repository on the Hub."
        ),
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option("--image-size", help="Width and height in pixels. [default: the generator's]"),
]
PromptPrefix = Annotated[
    bool | None,
    typer.Option(
        "--prompt-prefix/--no-prompt-prefix",
        help="SANA-Sprint: put its instruction before the prompt. [default: no]",
    ),
]
TextLength = Annotated[
    int | None,
    typer.Option(
        "--max-sequence-length",
        min=1,
        help=(
            "FLUX: tokens of the text. 512 is HyperNoise's and the stock pipeline's, 256 is ReNO's."
            " [default: 512]"
        ),
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        "--memory",
        metavar="POLICY[,...]",
        help="none, checkpoint-decoder, checkpoint-all, offload-text: slower; changes no result.",
    ),
]
DeviceName = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, or for example cuda:1.")
]
DtypeName = Annotated[
    Dtype | None,
    typer.Option(
        "--dtype",
        help=(
            "What the models compute in; noise and norms stay in float32. [default: bfloat16 for"
            " published generators, else float32]"
        ),
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--optimise",
        metavar="NAME=WEIGHT",
        help=f"A reward to optimise, or human-preference alone; repeatable. {PRESET}",
    ),
]
HeldOut = Annotated[
    list[str] | None,
    typer.Option(
        "--hold-out",
        metavar="NAME",
        help=f"A reward to report and not optimise; repeatable. {PRESET}",
    ),
]
ADAPTER = "FOLDER|OWNER/NAME"
HypernetworkName = Annotated[
    str | None,
    typer.Option(
        "--hypernetwork",
        metavar=ADAPTER,
        help=f"A trained hypernetwork: its folder, or its name on the Hub. {PRESET}",
    ),
]
PromptsName = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        metavar="NAME|FILE",
        help=(
            "A set of `hnbench list prompts`, or a .txt, .csv, .tsv, .jsonl or .json file."
            f" {PRESET}"
        ),
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help=(
            "A folder with the prompt files of other projects. [default: $HNBENCH_DATA, else"
            " downloads]"
        ),
    ),
]


@app.command(
    epilog=examples(
        "hnbench run --suite geneval-shapes",
        "hnbench run --suite geneval-shapes --method best-of-n:n=16 --method hypernoise --limit 24",
        "hnbench run --suite geneval-shapes --full --seed 1 --hypernetwork"
        " results/my-training/adapter",
        "hnbench run --suite geneval-shapes --optimise shapes-resnet=1.0 --hold-out shapes-clip"
        " --method reno:iterations=20",
    )
)
def run(
    suite: Annotated[
        str,
        typer.Option(
            "--suite",
            metavar="NAME[:PART]|FILE",
            help=(
                "Prompts, protocol and judge; see `hnbench list suites`. A text, CSV, TSV, JSONL or"
                " JSON file of prompts has no judge."
            ),
        ),
    ],
    generator: GeneratorName = "shapes",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME[:K=V,...]",
            help="A method; repeatable. random is always there. [default: all of them]",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The suite's full protocol instead of the quick one.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", help="At most so many prompts, spread over the suite's tasks."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The base seed of all noises.")] = 0,
    hypernetwork: HypernetworkName = None,
    finetuned: Annotated[
        str | None,
        typer.Option(
            "--finetuned",
            metavar=ADAPTER,
            help=f"A fine-tuned adapter: its folder, or its name on the Hub. {PRESET}",
        ),
    ] = None,
    optimise: Weights = None,
    hold_out: HeldOut = None,
    batch_size: Annotated[
        int,
        typer.Option("--batch-size", help="Samples at a time; changes results to rounding only."),
    ] = 32,
    device: DeviceName = "auto",
    dtype: DtypeName = None,
    steps: Annotated[int, typer.Option("--steps", help="Steps of the generator per image.")] = 1,
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
                " pipeline's, even (0.7854) is what "
                "HyperNoise's code asks for. [default: 1.3]"
            ),
        ),
    ] = None,
    memory: Memory = "none",
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
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write and print the report at the end.")
    ] = True,
) -> None:
    """Run methods on a suite and compare them.

    All methods begin from the same prompts and the same starting noise. Their images are saved,
    scored and judged. The same command again continues a run that was interrupted, and one with
    more methods or --full adds to it.
    """
    from hnbench.config import RunConfig

    preset = preset_of(generator)
    adapters = _adapters(preset, hypernoise=hypernetwork, finetune=finetuned)
    weights = parse_weights(optimise or (), preset.optimised, generator)
    held_out = _held_out(hold_out, preset, weights)
    methods = _with_base(method or _runnable(adapters))
    _check_names(suite, generator, (*weights, *held_out), methods)
    chosen = registry.make_suite(suite)
    for note in chosen.notes:
        _tell(note)
    config = RunConfig(
        **_name_of(suite, chosen),
        generator=generator,
        optimised=weights,
        held_out=held_out,
        base_seed=seed,
        noise_policy=noise_policy,
        steps=steps,
        dtype=dtype_of(generator, dtype),
        image_size=image_size,
        prompt_prefix=prompt_prefix,
        max_sequence_length=max_sequence_length,
        intermediate_timesteps=parse_angle(intermediate_timesteps),
        methods=methods,
        full=full,
        limit=limit,
        batch_size=batch_size,
        device=_device(device),
        memory=memory,
    )
    folder = out or RESULTS / config.folder_name
    summary = _execute(config, chosen, preset, adapters, folder)
    if not summary.new:
        _echo(f"all {summary.expected} samples are already done in {folder}", err=True)
    if report:
        _report([folder])
    if summary.failed:
        why = f": {summary.commonest}" if summary.commonest else ""
        raise SampleFailure(
            f"{summary.failed} of {summary.expected} samples failed{why}. The same command tries"
            f" them again (see {folder})"
        )


@app.command(
    epilog=examples(
        "hnbench train",
        "hnbench train --kind finetune --steps 500 --learning-rate 1e-4",
        "hnbench train --prompts my-prompts.txt --batch-size 16 --out results/my-training",
    )
)
def train(
    kind: Annotated[
        Literal["hypernoise", "finetune"],
        typer.Option(
            "--kind", help="A noise hypernetwork, or the same LoRA on the generator itself."
        ),
    ] = "hypernoise",
    generator: GeneratorName = "shapes",
    named: Annotated[
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
        int | None, typer.Option("--batch-size", help="Images per batch.")
    ] = None,
    accumulation: Annotated[
        int | None, typer.Option("--accumulation", help="Batches per optimizer step.")
    ] = None,
    optimizer: Annotated[Literal["sgd", "adamw"] | None, typer.Option("--optimizer")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate")] = None,
    schedule: Annotated[
        Literal["constant", "cosine"] | None,
        typer.Option("--schedule", help="Of the learning rate."),
    ] = None,
    gradient_clip: Annotated[
        float | None, typer.Option("--gradient-clip", help="The largest norm of the gradient.")
    ] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="Of the LoRA.")] = None,
    lora_alpha: Annotated[
        float | None, typer.Option("--lora-alpha", help="The LoRA is scaled by alpha / rank.")
    ] = None,
    lora_dtype: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option("--lora-dtype", help="What the LoRA's weights are kept and stepped in."),
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
        typer.Option("--regulariser-weight", help="hypernoise: what a change of the noise costs."),
    ] = None,
    regulariser_reduction: Annotated[
        Literal["sum", "mean"] | None,
        typer.Option(
            "--regulariser-reduction", help="hypernoise: sum as in the paper, mean as in its code."
        ),
    ] = None,
    image_penalty: Annotated[
        float | None,
        typer.Option("--image-penalty", help="finetune: what a change of the image costs."),
    ] = None,
    image_size: ImageSize = None,
    prompt_prefix: PromptPrefix = None,
    max_sequence_length: TextLength = None,
    memory: Memory = "none",
    seed: Annotated[int, typer.Option("--seed", help="Of first weights, prompts and noises.")] = 0,
    device: DeviceName = "auto",
    dtype: DtypeName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help=f"The training's folder. {NAMED}")
    ] = None,
) -> None:
    """Train a noise hypernetwork, or a fine-tuning.

    The same command again continues a training that was interrupted. Defaults are the preset's for
    the generator.
    """
    from hnbench.hypernetwork.config import PARAMETER, TrainingConfig

    preset = preset_of(generator)
    published = training_settings(preset, kind, named, generator)
    check_generator(generator)
    weights = parse_weights(optimise or (), preset.optimised, generator)
    texts, source = _prompts(prompts, preset, generator, data_dir)
    asked = {
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
        "image_size": image_size,
        "prompt_prefix": prompt_prefix,
        "max_sequence_length": max_sequence_length,
        "memory": memory,
    }
    settings = {**published, **{name: value for name, value in asked.items() if value is not None}}
    config = TrainingConfig(
        kind=kind, generator=generator, rewards=weights, prompts=source, seed=seed, **settings
    )
    identity = config.identity if is_set(source) else digest([config.identity, list(texts)])
    name = plain_name(
        f"train-{kind}-{generator}", ending=f"-seed{seed}-{identity[:8]}", also=OF_MODELS
    )
    adapter = _train(
        config, texts, _device(device), dtype_of(generator, dtype), out or RESULTS / name
    )
    _echo(f"The adapter is in {adapter}. To compare it:")
    _echo(
        shlex.join(
            [
                "hnbench",
                "run",
                "--suite",
                preset.suite or "SUITE",
                "--generator",
                generator,
                f"--{PARAMETER[kind]}",
                str(adapter),
            ]
        )
    )


@app.command(
    epilog=examples(
        "hnbench report",
        "hnbench report results/my-run --published",
        "hnbench report results/seed0 results/seed1 --out results/report",
    )
)
def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...", help="Run folders. [default: the newest one under results/]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help=(
                "The report's folder; needed for several runs. [default: report/ in the run's"
                " folder]"
            ),
        ),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Set the numbers of papers beside the run's own.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Also compare every image with the SHA-256 of its record."),
    ] = False,
) -> None:
    """Write and print the report of a run.

    It is made from the run's records alone. Runs of several base seeds are reported together.
    """
    chosen = runs or [_newest_run()]
    if len(chosen) > 1 and out is None:
        raise UsageError(
            f"{len(chosen)} runs were given; say where their common report goes, for example --out"
            f" {RESULTS / 'report'}"
        )
    _report(chosen, out, published=published, check=check)


PartialChoice = Annotated[
    bool,
    typer.Option(
        "--partial",
        help=(
            "Take what is there, though something is missing, unknown or unreadable; the output"
            " says what."
        ),
    ),
]
QuickChoice = Annotated[
    bool,
    typer.Option(
        "--quick", help="The images are of the suite's quick protocol, not of the full one."
    ),
]
ImagesAtATime = Annotated[
    int,
    typer.Option("--batch-size", min=1, help="Images at a time; changes results to rounding only."),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="LABEL",
        help="A method's label, as in the report; repeatable. [default: all]",
    ),
]


@app.command(
    epilog=examples(
        "hnbench score images --suite geneval --device cuda",
        "hnbench score outputs --suite t2i-compbench:color",
        "hnbench score results/my-run --suite geneval-shapes --label hypernoise",
    )
)
def score(
    folder: Annotated[
        Path,
        typer.Argument(
            help=(
                "Images in GenEval's layout (00000/metadata.jsonl, 00000/samples) or"
                " T2I-CompBench's (samples), or a run."
            )
        ),
    ],
    suite: Annotated[
        str,
        typer.Option(
            "--suite", metavar="NAME[:PART]", help="Prompts and judge; see `hnbench list suites`."
        ),
    ],
    quick: QuickChoice = False,
    partial: PartialChoice = False,
    label: Labels = None,
    batch_size: ImagesAtATime = 32,
    device: DeviceName = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Where verdicts and scores go. [default: scores-JUDGE in the folder]"
        ),
    ] = None,
) -> None:
    """Judge images that lie in a folder, wherever they come from.

    What is missing, unknown or unreadable is told before any image is judged. The same command
    again judges only what has no verdict yet.
    """
    registry.find_suite(suite)

    _announce("loading torch")

    from hnbench.cli.display import StageDisplay, show_scores
    from hnbench.images.finding import find_images
    from hnbench.images.judging import judge_of, scores_folder
    from hnbench.images.judging import score as judge_images
    from hnbench.images.result_files import write_results
    from hnbench.images.score_table import correct_lines, sentences, table_of

    chosen = registry.make_suite(suite)
    found = find_images(folder, chosen, quick=quick, labels=label or ())
    with StageDisplay() as display:
        found = found.usable(display, partial=partial)
        _announce(f"loading the judge of {suite}")
        judge = judge_of(chosen, choose_device(device))
        place = out or scores_folder(folder, judge)
        scores = judge_images(found, judge, place, batch_size=batch_size, progress=display)
    if not scores.new:
        _echo(f"all {len(scores.verdicts)} images have their verdicts already in {place}", err=True)
    path = write_results(scores, place)
    show_scores(
        table_of(scores), [*correct_lines(scores), *sentences(scores)], f"Image by image: {path}"
    )


MeasureNames = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="NAME",
        help=f"A measure of `hnbench list measures`; repeatable. {PRESET}",
    ),
]


@app.command(
    epilog=examples(
        "hnbench measure results/my-run",
        "hnbench measure results/my-run --measure lpips --measure cmmd --label random --label"
        " hypernoise --device cuda",
        "hnbench measure images --suite geneval --measure dino-similarity",
        "hnbench measure results/my-run --measure vqascore@OWNER/NAME",
    )
)
def measure(
    folder: Annotated[
        Path, typer.Argument(help="A run, or images in a layout that `hnbench score` reads.")
    ],
    measure: MeasureNames = None,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            metavar="NAME[:PART]",
            help="Whose prompts the images are of. [default: the run's]",
        ),
    ] = None,
    quick: QuickChoice = False,
    partial: PartialChoice = False,
    label: Labels = None,
    batch_size: ImagesAtATime = 32,
    device: DeviceName = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where the values go. [default: measures in the folder]"),
    ] = None,
) -> None:
    """Measure images that are there: diversity, fidelity, and what else no method saw.

    Of a run, every label is compared with the base, which is always there. The same command again
    computes only what is missing, and `hnbench report` shows what was measured of a run.
    """
    names = _measure_names(folder, measure)

    _announce("loading torch")

    from hnbench.cli.display import StageDisplay, show_scores
    from hnbench.images.finding import find_images
    from hnbench.images.layouts.run import base_of, is_run
    from hnbench.images.measure_table import sentences, table_of
    from hnbench.images.measuring import Measurer
    from hnbench.measures.journal import FOLDER, open_journal

    base = base_of(folder) if is_run(folder) else None
    labels = [base, *label] if label and base else label or ()
    found = find_images(
        folder, registry.make_suite(suite) if suite else None, quick=quick, labels=labels
    )
    place = out or folder / FOLDER
    chosen = choose_device(device)
    with StageDisplay() as display:
        found = found.usable(display, partial=partial)
        with open_journal(place) as journal:
            measurer = Measurer(found, journal, base=base, batch_size=batch_size, progress=display)
            measured = [measurer.measure(_load_measure(name, chosen)) for name in names]
    if not any(one.new for one in measured):
        _echo(f"all of it was measured before, in {place}", err=True)
    show_scores(
        table_of(found, measured, base),
        sentences(found, measured),
        f"Prompt by prompt: {journal.path}",
    )


@app.command(
    epilog=examples(
        "hnbench export results/my-run --layout geneval --out exported",
        "hnbench export results/my-run --layout t2i-compbench --out exported --label random --label"
        " hypernoise",
    )
)
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    layout: Annotated[
        Literal["geneval", "t2i-compbench"],
        typer.Option("--layout", help="Whose scripts are to read the images."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where the folders go, one for each label.")],
    label: Labels = None,
    partial: PartialChoice = False,
) -> None:
    """Write a run's images in the layout that another project's scripts read.

    The images are the run's files, checked by SHA-256. The same command again adds what is missing.
    """
    _announce("loading torch")

    from hnbench.cli.display import StageDisplay
    from hnbench.images.export import export as write_images
    from hnbench.images.layouts.run import read_run_images
    from hnbench.runs.store import read_run

    suite = read_run(run).manifest["config"]["suite"]
    needs_metadata = (
        layout == "geneval" and registry.find_suite(suite)[0] is not registry.PROMPT_FILES
    )
    found = read_run_images(
        run, registry.make_suite(suite) if needs_metadata else None, label or ()
    )
    with StageDisplay() as display:
        found = found.usable(display, partial=partial)
        folders = write_images(found, layout, out, display)
    if not found.complete:
        _echo(f"PARTIAL: {found.described()}")
    for name, place in folders.items():
        _echo(f"{name}: {place}")


@app.command(
    epilog=examples(
        "hnbench diagnose",
        "hnbench diagnose --hypernetwork results/my-training/adapter --limit 8 --out"
        " diagnosis.json",
    )
)
def diagnose(
    hypernetwork: HypernetworkName = None,
    generator: GeneratorName = "shapes",
    prompts: PromptsName = None,
    data_dir: DataFolder = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many of the prompts.")
    ] = 8,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Noises per prompt.")] = 4,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 8,
    image_size: ImageSize = None,
    prompt_prefix: PromptPrefix = None,
    max_sequence_length: TextLength = None,
    memory: Memory = "none",
    seed: Annotated[int, typer.Option("--seed", help="The base seed of all noises.")] = 0,
    device: DeviceName = "auto",
    dtype: DtypeName = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The JSON file. [default: results/diagnosis-... by adapter]"),
    ] = None,
) -> None:
    """Look at what a hypernetwork does to noise.

    KL divergence, Lipschitz constant, size of the change, and whether the noise stays Gaussian.
    """
    preset = preset_of(generator)
    adapters = _adapters(preset, hypernoise=hypernetwork)
    if "hypernoise" not in adapters:
        raise UsageError(
            f"the generator {generator!r} comes with no hypernetwork; give --hypernetwork FOLDER,"
            " or its name on the Hub"
        )
    texts, _ = _prompts(prompts, preset, generator, data_dir)

    from hnbench.cli.display import show_values
    from hnbench.hypernetwork.adapter import Hypernetwork
    from hnbench.hypernetwork.checkpoint import adapter_sha256, attach
    from hnbench.hypernetwork.diagnose import diagnose as look
    from hnbench.seeds import NoiseSource

    folder = find_adapter(adapters["hypernoise"])
    options = {
        "image_size": image_size,
        "prompt_prefix": prompt_prefix,
        "max_sequence_length": max_sequence_length,
        "memory": memory,
    }
    model = load_generator(generator, _device(device), dtype_of(generator, dtype), **options)
    network = Hypernetwork(model, attach(model, folder, "hypernoise"))
    found = look(
        network,
        texts[:limit],
        NoiseSource(seed, model.noise_shape),
        samples=samples,
        batch_size=batch_size,
    )
    path = out or RESULTS / plain_name(
        f"diagnosis-{generator}", ending=f"-{adapter_sha256(folder)[:8]}.json", also=OF_MODELS
    )
    _write_json(
        path,
        {
            "adapter": adapter_sha256(folder),
            "generator": model.fingerprint,
            "base_seed": seed,
            **found,
        },
    )
    show_values(found)
    _echo(f"The same as JSON: {path}")


@app.command(
    epilog=examples(
        "hnbench push results/my-training/adapter owner/name",
        "hnbench push adapter owner/name --private",
    )
)
def push(
    folder: Annotated[Path, typer.Argument(help="A trained adapter's folder.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="OWNER/NAME", help="The repository of the Hub; made where there is none."
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Only for those who are given access.")
    ] = False,
) -> None:
    """Put a trained adapter on the Hugging Face Hub.

    With its model card and its configuration; then `--hypernetwork OWNER/NAME` takes it from there.
    """
    from hnbench.hypernetwork.publish import publish

    _echo(f"The adapter is at {publish(folder, name, private=private)}")


@app.command("list", epilog=examples("hnbench list methods", "hnbench list rewards"))
def list_names(
    kind: Annotated[
        Literal["generators", "rewards", "methods", "suites", "measures", "prompts"],
        typer.Argument(help="What to list."),
    ],
) -> None:
    """List generators, rewards, methods, suites, measures or prompt sets.

    Those of installed third-party packages too.
    """
    from hnbench.cli.display import show_entries

    known = {
        "generators": registry.GENERATORS,
        "rewards": registry.REWARDS,
        "methods": registry.METHODS,
        "suites": registry.SUITES,
    }
    known["measures"], known["prompts"] = registry.MEASURES, registry.PROMPTS
    show_entries(known[kind].entries.values())


@app.command(
    epilog=examples(
        "hnbench fetch --generator sd-turbo --dtype bfloat16 --suite geneval",
        "hnbench fetch --optimise human-preference --hold-out aesthetic",
        "hnbench fetch --measure lpips --measure dino-similarity",
    )
)
def fetch(
    generator: Annotated[
        str | None,
        typer.Option(
            "--generator", help="A text-to-image model, with its preset's rewards and hypernetwork."
        ),
    ] = None,
    dtype: DtypeName = None,
    optimise: Weights = None,
    hold_out: HeldOut = None,
    suite: Annotated[
        str | None, typer.Option("--suite", help="A suite: its prompts, and its judge's models.")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", metavar="NAME", help="A measure's models; repeatable."),
    ] = None,
) -> None:
    """Download what a run will need.

    Afterwards the same run needs no network: everything comes from the local cache.
    """
    from hnbench.catalogue.downloads import (
        download_all,
        fetch_measure,
        fetch_suite,
        generator_sources,
        measure_sources,
        reward_sources,
        sizes,
    )
    from hnbench.catalogue.presets import Preset
    from hnbench.cli.display import show_downloads

    if generator:
        check_generator(generator)
    preset = preset_of(generator) if generator else Preset()
    weights = (
        parse_weights(optimise or (), preset.optimised, generator or "")
        if optimise or preset.optimised
        else {}
    )
    rewards = (*weights, *_held_out(hold_out, preset, weights))
    if not (rewards or generator or suite or measure):
        raise UsageError(
            "say what to fetch, for example --optimise human-preference, --generator NAME or"
            " --suite NAME"
        )
    needed = reward_sources(rewards) | (
        generator_sources(generator, dtype_of(generator, dtype), preset.adapters.values())
        if generator
        else {}
    )
    needed |= measure_sources(measure or ())
    bytes_of = sizes(needed)
    if needed:
        show_downloads(needed, bytes_of)
    download_all(bytes_of, _announce)
    for name in measure or ():
        fetch_measure(name)
    if suite:
        fetch_suite(suite)
    _echo("all of it is on this machine now")


@app.command(
    epilog=examples(
        "hnbench verify",
        "hnbench verify imagereward geneval --device cuda",
        "hnbench verify --list",
        "hnbench verify --explain imagereward",
    )
)
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help=(
                "Generators, rewards, suites, measures, or single checks. [default: all without GPU"
                " and below 5 GB]"
            ),
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Print the checks that there are, and run none.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="NAME",
            help="Print where the expected numbers come from, and run none.",
        ),
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Also run on a CPU what takes a GPU to be quick: hours.")
    ] = False,
    device: DeviceName = "auto",
    dtype: Annotated[
        Dtype | None,
        typer.Option("--dtype", help="What the models compute in. [default: the check's own]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The JSON file. [default: results/verified/ and the time]"),
    ] = None,
) -> None:
    """Check that this installation, on this machine, gives the published numbers.

    Models and inputs are downloaded where needed; each number is computed by the functions that a
    run uses. What was found is remembered, and runs and reports say it of their models. The exit
    code is 3 when anything differs, or nothing could be compared.
    """
    from hnbench.cli.display import VerifyDisplay, show_lines, show_scores
    from hnbench.verification import tables
    from hnbench.verification.reference import all_references, choose
    from hnbench.weights.verified import remembered

    known = all_references()
    if explain is not None:
        show_lines(line for one in choose([explain], known) for line in tables.explained(one))
        return
    if listed:
        show_scores(
            tables.list_table(choose(names, known) if names else known, remembered()),
            (),
            "hnbench verify --explain NAME: its source",
        )
        return

    from hnbench.verification.session import small_checks, write_session
    from hnbench.verification.session import verify as run_checks

    chosen = choose(names, known) if names else small_checks(known)
    display = VerifyDisplay(chosen, len(known))
    session = run_checks(chosen, choose_device(device), display, dtype=dtype, slow=slow)
    path = (
        out or RESULTS / "verified" / f"{session.started.replace(':', '').partition('+')[0]}.json"
    )
    write_session(session, path)
    show_scores(
        tables.result_table(session.results),
        tables.sentences(session.results),
        f"The same as JSON: {path}",
    )
    if session.failed:
        raise SampleFailure(
            "not everything that was checked is equal; the table says what, `hnbench verify"
            " --explain NAME` with what"
        )


@app.command(epilog=examples("hnbench env", "hnbench env --json"))
def env(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: DeviceName = "auto",
) -> None:
    """Print versions, device, cache and what was verified here: paste it into a bug report."""
    from hnbench.cli.display import show_values
    from hnbench.runs.surroundings import surroundings

    found = surroundings(choose_device(device))
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    show_values(found)


def _announce(text: str) -> None:
    from hnbench.cli.display import announce

    announce(text)


def _device(name: str) -> str:
    """The device that was asked for, after the longest of all imports."""
    _announce("loading torch")
    return choose_device(name)


def _load_measure(name: str, device: str) -> Any:
    _announce(f"loading {name}")
    return registry.MEASURES.get(name)(device)


def _measure_names(folder: Path, typed: Sequence[str] | None) -> tuple[str, ...]:
    """The measures that were typed, or the preset's of a run's generator; all of their names are
    known afterwards.
    """
    names = tuple(dict.fromkeys(typed or ()))
    if not names:
        names = preset_of(
            _config_of(folder, "say what to measure of other images by --measure")["generator"]
        ).measures
    for name in names:
        registry.MEASURES.entry(name)
    return names


def _config_of(folder: Path, otherwise: str) -> dict[str, Any]:
    """A run's configuration; of any other folder a `UsageError` that says what to do."""
    from hnbench.images.layouts.run import is_run
    from hnbench.runs.store import read_run

    if not is_run(folder):
        raise UsageError(f"{folder} is no run; {otherwise}")
    config: dict[str, Any] = read_run(folder).manifest["config"]
    return config


def _held_out(
    typed: Sequence[str] | None, preset: Preset, optimised: Mapping[str, float]
) -> tuple[str, ...]:
    """The rewards to report only: what was typed, a mixture as its parts, or the preset's without
    what is optimised.
    """
    if typed:
        return tuple(dict.fromkeys(part for name in typed for part in parts_of(name)))
    return tuple(name for name in preset.held_out if name not in optimised)


def _adapters(preset: Preset, **given: str | None) -> dict[str, str | Path]:
    """The adapters by kind: the folders of what was given, which is found at once, else the
    preset's.
    """
    chosen = {kind: find_adapter(name) for kind, name in given.items() if name is not None}
    return {**preset.adapters, **chosen}


def _runnable(adapters: Mapping[str, str | Path]) -> list[str]:
    """All built-in methods but those without an adapter, which are named on stderr."""
    entries = registry.METHODS.built_in
    left_out = [entry.name for entry in entries if entry.adapter and entry.adapter not in adapters]
    if left_out:
        _echo(f"without a trained adapter, left out: {', '.join(left_out)}", err=True)
    return [entry.name for entry in entries if entry.name not in left_out]


def _with_base(specifications: Sequence[str]) -> tuple[str, ...]:
    """The base first, which every method is compared with, then the others."""
    return ("random", *(text for text in specifications if text != "random"))


def _check_names(
    suite: str, generator: str, rewards: Iterable[str], methods: Iterable[str]
) -> None:
    """Refuse unknown names before anything is imported or loaded."""
    registry.find_suite(suite)
    check_generator(generator)
    for name in rewards:
        registry.REWARDS.entry(name)
    for text in methods:
        registry.METHODS.entry(registry.parse_method(text)[0])


def _name_of(specification: str, suite: Suite) -> dict[str, str]:
    """What a run's configuration calls its suite. A prompt file is known by its own name and its
    prompts, wherever it lies.
    """
    if registry.find_suite(specification)[0] is registry.PROMPT_FILES:
        return {"suite": suite.name, "suite_version": suite.version}
    return {"suite": specification}


def _tell(note: str) -> None:
    """Say what no result depends on."""
    _echo(f"hnbench: {note}", err=True)


def _options(config: RunConfig | TrainingConfig) -> dict[str, Any]:
    """The options of a configuration's generator."""
    names = (
        "image_size",
        "prompt_prefix",
        "max_sequence_length",
        "intermediate_timesteps",
        "memory",
    )
    return {name: getattr(config, name) for name in names if hasattr(config, name)}


def _execute(
    config: RunConfig,
    suite: Suite,
    preset: Preset,
    adapters: Mapping[str, str | Path],
    folder: Path,
) -> Tally:
    """Load all models and carry the run out."""
    from hnbench.cli.display import RunDisplay
    from hnbench.runs.execute import execute
    from hnbench.runs.store import RunStore

    methods = make_methods(config.methods, preset, adapters)
    _announce(f"loading {config.generator}")
    generator = load_generator(config.generator, config.device, config.dtype, **_options(config))
    training = prepare_adapters(
        methods, generator, {prompt.id: prompt.text for prompt in suite.prompts()}
    )
    _announce(f"loading {', '.join([*config.optimised, *config.held_out])}")
    rewards = load_mixture(config.optimised, config.device, config.dtype)
    held_out = [load_reward(name, config.device, config.dtype) for name in config.held_out]
    with RunStore(folder) as store:
        return execute(
            config,
            suite,
            generator,
            rewards,
            held_out,
            methods,
            store,
            RunDisplay(),
            training=training,
        )


def _train(
    config: TrainingConfig, prompts: Sequence[str], device: str, dtype: str, folder: Path
) -> Path:
    """Train in a folder, or go on there; the result is the adapter's folder."""
    from hnbench.cli.display import TrainingDisplay
    from hnbench.hypernetwork.trainer import Trainer

    _announce(f"loading {config.generator}, {', '.join(config.rewards)}")
    generator = load_generator(config.generator, device, dtype, **_options(config))
    trainer = Trainer(
        config, generator, load_mixture(config.rewards, device, dtype), prompts, folder
    )
    with TrainingDisplay() as display:
        return trainer.train(display)


def _prompts(
    given: str | None, preset: Preset, generator: str, data: Path | None
) -> tuple[tuple[str, ...], str]:
    """Prompts to train on, and where they come from: the set's name, as given or the preset's, or a
    file's own name without its folder.
    """
    source = given or preset.training_prompts
    if not source:
        raise UsageError(
            f"the generator {generator!r} has no preset; give --prompts FILE, or a set of `hnbench"
            " list prompts`"
        )
    texts = find_prompts(source, data, _tell)
    return texts, source if is_set(source) else file_name(Path(source))


def _report(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    published: bool = False,
    check: bool = False,
) -> None:
    """Write the report and print its table, its findings, the published numbers where asked for,
    and where it is.
    """
    from hnbench.cli.display import show_report
    from hnbench.reports.report import headline_lines, published_lines, summarise_runs, write
    from hnbench.reports.tables import console_table, narrow_tables

    summary = summarise_runs(folders, check=check)
    path = write(summary, out or folders[0] / "report", published=published)
    sentences = [*headline_lines(summary), *(published_lines(summary) if published else ())]
    show_report(console_table(summary), sentences, path, narrow=narrow_tables(summary))
    if damaged := summary.pool.damaged:
        raise SampleFailure(
            f"missing or not the file that was written: {len(damaged)} of the images, such as"
            f" {damaged[0]}; remove what is there, and `hnbench run` with the run's own options"
            " draws them again"
        )


def _newest_run() -> Path:
    """The run under results/ whose run.json was written last."""
    found = sorted(RESULTS.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UsageError(
            f"there is no run under {RESULTS}/; give a run's folder, or make one: hnbench run"
            " --suite geneval-shapes"
        )
    return found[-1].parent


def _write_json(path: Path, value: Any) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8", newline="\n"
        )
