"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hnbench.catalogue.loading import Dtype
from hnbench.cli import completion

PRESET = "[default: the preset's]"
NAMED = "[default: a folder under results/, named after its content]"

GeneratorName = Annotated[
    str,
    typer.Option(
        "--generator",
        autocompletion=completion.generators,
        metavar="NAME|FOLDER|OWNER/NAME[@REVISION]",
        help=(
            "The text-to-image model: see `hnbench list generators`; or a diffusers pipeline's"
            " folder or repository on the Hub."
        ),
    ),
]
BaseSeed = Annotated[int, typer.Option("--seed", help="The base seed of all noises.")]
StepsPerImage = Annotated[
    int | None,
    typer.Option(
        "--steps", help="Steps of the generator per image; by default its own number, mostly 1."
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
        help=(
            "none, checkpoint-decoder, checkpoint-all, offload-text, offload-blocks: less memory,"
            " but slower; no result changes."
        ),
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help=(
            "Compile the networks with torch.compile, once for each size of batch: faster in long"
            " runs; results change only by rounding."
        ),
    ),
]
DeviceName = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, or for example cuda:1.")
]
ShardName = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help=(
            "One part of N, for N processes on one folder: 1/8 to 8/8; 1/1 is the whole. [default:"
            " that of torchrun, accelerate, SLURM or an array task]"
        ),
    ),
]
DtypeName = Annotated[
    Dtype | None,
    typer.Option(
        "--dtype",
        help=(
            "The type that the models compute in; noise and norms stay in float32. [default:"
            " bfloat16 for published generators, else float32]"
        ),
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--optimise",
        autocompletion=completion.rewards,
        metavar="NAME=WEIGHT",
        help=f"A reward to optimise, or human-preference alone; repeatable. {PRESET}",
    ),
]
HeldOut = Annotated[
    list[str] | None,
    typer.Option(
        "--hold-out",
        autocompletion=completion.rewards,
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
FinetunedName = Annotated[
    list[str] | None,
    typer.Option(
        "--finetuned",
        metavar="[LABEL=]FOLDER|FILE|OWNER/NAME",
        help=(
            "Fine-tuned weights: an adapter of `hnbench train`, a LoRA of peft or diffusers, a"
            f" network or a whole pipeline; repeatable. LABEL names its row. {PRESET}"
        ),
    ),
]
AmortisedName = Annotated[
    str | None,
    typer.Option(
        "--amortised",
        metavar=ADAPTER,
        help=(
            "A hypernetwork trained by regression: its folder, or its name on the Hub. It adds the"
            " method amortised to the default ones."
        ),
    ),
]
PromptsName = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        autocompletion=completion.prompts,
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

PartialChoice = Annotated[
    bool,
    typer.Option(
        "--partial",
        help=(
            "Use the existing images, even if some are missing, unknown or unreadable; the output"
            " says which."
        ),
    ),
]
QuickChoice = Annotated[
    bool,
    typer.Option("--quick", help="The images follow the suite's quick protocol, not the full one."),
]
ImagesAtATime = Annotated[
    str,
    typer.Option(
        "--batch-size",
        metavar="N|auto",
        help=(
            "Images at a time; results change only by rounding. auto: 32 on a CPU, what fits on a"
            " GPU."
        ),
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="LABEL",
        help="A method's label, as in the report; repeatable. [default: all]",
    ),
]

MeasureNames = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        autocompletion=completion.measures,
        metavar="NAME",
        help=f"A measure of `hnbench list measures`; repeatable. {PRESET}",
    ),
]
Embed = Annotated[
    int | None,
    typer.Option(
        "--embed",
        metavar="N",
        min=1,
        help=(
            "Put small pictures of N prompts into the page, so that it can be sent as one file."
            " [default: link all images]"
        ),
    ),
]
