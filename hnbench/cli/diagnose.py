"""`hnbench diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli.diagnosis import sentences, statistics_table
from hnbench.cli.json_output import AsJson, print_json
from hnbench.cli.options import (
    BaseSeed,
    DataFolder,
    DeviceName,
    DtypeName,
    GeneratorName,
    HypernetworkName,
    ImageSize,
    Memory,
    PromptPrefix,
    PromptsName,
    TextLength,
)
from hnbench.cli.printing import show_scores

EXAMPLES = (
    "hnbench diagnose",
    "hnbench diagnose --hypernetwork results/my-training/adapter --limit 8 --out diagnosis.json",
)


def diagnose(
    hypernetwork: HypernetworkName = None,
    generator: GeneratorName = "shapes",
    prompts: PromptsName = None,
    data_dir: DataFolder = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="The largest number of prompts.")
    ] = 8,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Noises per prompt.")] = 4,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Noises at a time.")] = 8,
    image_size: ImageSize = None,
    prompt_prefix: PromptPrefix = None,
    max_sequence_length: TextLength = None,
    memory: Memory = "none",
    seed: BaseSeed = 0,
    device: DeviceName = "auto",
    dtype: DtypeName = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The JSON file. [default: results/diagnosis-... by adapter]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at what a hypernetwork does to noise.

    KL divergence, Lipschitz constant, size of the change, and whether the noise stays Gaussian.
    """
    found = api.diagnose(
        hypernetwork=hypernetwork,
        generator=generator,
        prompts=prompts,
        data_dir=data_dir,
        limit=limit,
        samples=samples,
        batch_size=batch_size,
        image_size=image_size,
        prompt_prefix=prompt_prefix,
        max_sequence_length=max_sequence_length,
        memory=memory,
        seed=seed,
        device=device,
        dtype=dtype,
        out=out,
    )
    if as_json:
        print_json({"path": found.path, **found.values})
        return
    show_scores(
        statistics_table(found.values),
        sentences(found.values),
        f"All values as JSON: {found.path}",
    )
