"""`hnbench generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import hnbench as api
from hnbench.cli.inline_grids import show_grids
from hnbench.cli.json_output import AsJson, print_json, rows
from hnbench.cli.options import (
    NAMED,
    AmortisedName,
    BaseSeed,
    DeviceName,
    DtypeName,
    FinetunedName,
    GeneratorName,
    HeldOut,
    HypernetworkName,
    ImagesAtATime,
    ImageSize,
    Memory,
    PromptPrefix,
    StepsPerImage,
    TextLength,
    Weights,
)
from hnbench.cli.printing import show_images

EXAMPLES = (
    'hnbench generate "a red ring left of a blue star"',
    'hnbench generate "a green heart" "three stars" --method random --method best-of-n:n=8',
    "hnbench generate --prompts prompts.txt --samples 4 --out results/my-images",
    'hnbench generate "a tiger in snow" --generator sana-sprint-1.6b --json',
)


def generate(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT...", help="One or several prompts, in quotation marks."),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="A .txt, .csv, .tsv, .jsonl or .json file of prompts, instead of PROMPT.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="[LABEL=]NAME[:K=V,...]",
            help=(
                "A method; repeatable. LABEL names its column. [default: random, and hypernoise if"
                " the generator has a hypernetwork]"
            ),
        ),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="Images of each prompt.")] = 1,
    generator: GeneratorName = "shapes",
    seed: BaseSeed = 0,
    hypernetwork: HypernetworkName = None,
    finetuned: FinetunedName = None,
    amortised: AmortisedName = None,
    optimise: Weights = None,
    hold_out: HeldOut = None,
    batch_size: ImagesAtATime = "auto",
    device: DeviceName = "auto",
    dtype: DtypeName = None,
    steps: StepsPerImage = None,
    image_size: ImageSize = None,
    prompt_prefix: PromptPrefix = None,
    max_sequence_length: TextLength = None,
    intermediate_timesteps: Annotated[
        str | None,
        typer.Option(
            "--intermediate-timesteps",
            metavar="ANGLE|even",
            help=(
                "SANA-Sprint in two steps: the angle between them, 0 to 1.5708; see `hnbench run"
                " --help`. [default: 1.3]"
            ),
        ),
    ] = None,
    memory: Memory = "none",
    out: Annotated[
        Path | None, typer.Option("--out", help=f"The folder for the images. {NAMED}")
    ] = None,
    show: Annotated[
        bool | None,
        typer.Option(
            "--show/--no-show",
            help=(
                "Show the grid in the terminal, or not; never with --json or --quiet. [default: if"
                " it is kitty, Ghostty, iTerm2 or WezTerm, or announces sixels]"
            ),
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make images of prompts by several methods, and show them next to each other.

    All methods begin from the same noises. The folder gets the images, a grid of them with their
    rewards, and a table. The same command again replaces them.
    """
    from hnbench.api.generate import texts_of
    from hnbench.api.generated_folder import default_folder
    from hnbench.display.screen import Screen

    texts = texts_of(prompt, prompts, Screen(shown=True))
    asked: dict[str, Any] = {
        "method": method,
        "samples": samples,
        "generator": generator,
        "hypernetwork": hypernetwork,
        "finetuned": finetuned,
        "amortised": amortised,
        "optimise": optimise,
        "hold_out": hold_out,
        "batch_size": batch_size,
        "device": device,
        "dtype": dtype,
        "steps": steps,
        "image_size": image_size,
        "prompt_prefix": prompt_prefix,
        "max_sequence_length": max_sequence_length,
        "intermediate_timesteps": intermediate_timesteps,
        "memory": memory,
    }
    folder = out or default_folder(texts, seed, asked)
    made = api.generate(texts, seed=seed, out=folder, **asked)
    if as_json:
        paths = [str(path) for path in made.paths]
        images = rows(made.frame().assign(image=paths))
        print_json({"folder": made.folder, "grids": made.grids, "images": images})
        return
    show_images(made)
    show_grids(made.grids, asked=show)
