"""The model card of a trained adapter: its purpose, its training and how to load it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hnbench.files.escaping import markdown
from hnbench.files.reading import content_of
from hnbench.files.writing import write_whole
from hnbench.generators.licences import licence_of
from hnbench.hypernetwork.config import OF_NOISE, OF_REGRESSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hnbench.generators.licences import Licence

PURPOSES = {
    "hypernoise": (
        "A noise hypernetwork (HyperNoise, arXiv 2508.09968): it predicts a change of a frozen"
        " generator's initial noise."
    ),
    "regression": (
        "A noise hypernetwork trained by regression: it predicts the change that ReNO (arXiv"
        " 2406.04312) makes to a frozen generator's initial noise."
    ),
    "finetune": (
        "A directly fine-tuned generator, the comparison for a noise hypernetwork: the same LoRA on"
        " the generator itself."
    ),
}


TAGS = dict.fromkeys(OF_NOISE, ("noise-hypernetwork", "test-time-optimization"))
"""Kind of training -> tags of its own."""
CARD, CURVES = "README.md", "curves.png"
_BASE = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([A-Za-z0-9][\w.-]*))?", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9.-]*", re.ASCII)
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*Pipeline", re.ASCII)


def model_card(
    description: Mapping[str, Any], *, dense: bool, by_diffusers: Mapping[str, str] | None
) -> str:
    """The model card's text.

    `description` is the content of hnbench.json; `dense` says whether the LoRA of grouped
    convolutions is dense. `by_diffusers` holds the arguments of the backbone's `load_lora_adapter`;
    it is None if the backbone has no such method, as PixArt's. Of the description, the front matter
    and the code have only names of a strict form, because text of others could break them;
    elsewhere such text is escaped by `markdown`.
    """
    generator, training = description.get("generator", {}), description.get("training", {})
    length = (
        f"{training.get('steps')} steps, {training.get('images')} images,"
        f" {training.get('seconds', 0):.0f} s"
    )
    config = description.get("config", {})
    rewards = ", ".join(
        f"{markdown(reward)} x {weight:g}" for reward, weight in config.get("rewards", {}).items()
    )
    kind, name = str(description.get("kind")), markdown(str(generator.get("name", "unknown")))
    base, revision = base_of(generator)
    lines = [
        "---",
        *([f"base_model: {base}", "base_model_relation: adapter"] if base else []),
        *_licence(licence_of(str(generator.get("name")), base)),
        "library_name: peft",
        "pipeline_tag: text-to-image",
        f"tags: [{', '.join(['lora', 'text-to-image', *TAGS.get(kind, ())])}]",
        *_metrics(config.get("rewards", {})),
        "---",
        f"# {markdown(kind)} for {name}",
        "",
        PURPOSES.get(kind, ""),
        "",
        "| | |",
        "|---|---|",
        f"| generator | {name} ({markdown(str(generator.get('fingerprint'))[:12])}) |",
        f"| rewards | {rewards} |",
        f"| LoRA | rank {config.get('rank')}, alpha {config.get('lora_alpha')} |",
        f"| training | {length} on {markdown(str(training.get('device')))} |",
        *([f"| pairs | {_pairs(config)} |"] if kind == "regression" else []),
        f"| prompts | {markdown(str(config.get('prompts')))} |",
        "",
        *_evaluated(description.get("evaluation") or {}),
        (
            "The licence of the base model holds for what is made with this adapter; it is not"
            " repeated here."
        ),
        "",
        *(_snippet(generator, base, revision) if kind in OF_NOISE else []),
        *_how_to_load(kind, generator, dense=dense, by_diffusers=by_diffusers),
        "",
    ]
    return "\n".join(lines)


def base_of(generator: Mapping[str, Any]) -> tuple[str, str]:
    """The base model's repository `owner/name` and its revision, from the generator's entry in a
    description; empty if it is not on the Hub.
    """
    found = _BASE.fullmatch(str(generator.get("base", "")))
    return (found[1], found[2] or "") if found else ("", "")


def add_curves(folder: Path, picture: bytes) -> None:
    """Put a picture (PNG) of the training's curves into an adapter's folder and its card. A card
    that has one already stays as it is.
    """
    card = folder / CARD
    text = content_of(card).decode()
    if f"({CURVES})" not in text:
        write_whole(card, f"{text}\n## Training\n\n![The training's curves]({CURVES})\n".encode())
    write_whole(folder / CURVES, picture)


def has_curves(folder: Path) -> bool:
    """Whether `add_curves` has come to its end in this folder."""
    return (folder / CURVES).is_file()


def _licence(licence: Licence | None) -> list[str]:
    """The base model's licence, as the front matter's."""
    if licence is None:
        return []
    facts = {
        "license": licence.identifier,
        "license_name": licence.name,
        "license_link": licence.link,
    }
    return [f"{name}: {fact}" for name, fact in facts.items() if fact]


def _metrics(rewards: Mapping[str, float]) -> list[str]:
    """The rewards that were optimised, as the front matter's metrics."""
    names = [name for name in rewards if _NAME.fullmatch(name)]
    return [f"metrics: [{', '.join(names)}]"] if names else []


def _evaluated(evaluation: Mapping[str, Any]) -> list[str]:
    """The table of the evaluation on held-out prompts."""
    if not evaluation:
        return []
    found = {name: _figure(evaluation.get(name)) for name in ("reward", "base_reward", "gain")}
    error = _figure(evaluation.get("gain_standard_error"))
    return [
        (
            f"The evaluation of the training, at step {evaluation.get('step')}, on"
            f" {evaluation.get('prompts')} held-out prompts with {evaluation.get('samples')} noises"
            " each:"
        ),
        "",
        "| reward | of the base | paired gain (standard error) |",
        "|---:|---:|---:|",
        f"| {found['reward']} | {found['base_reward']} | {found['gain']} ({error}) |",
        "",
    ]


def _snippet(generator: Mapping[str, Any], base: str, revision: str) -> list[str]:
    """The Python that makes an image with the hypernetwork; empty if the generator is not known to
    be a pipeline of diffusers that one call loads.
    """
    if generator.get("changed"):
        return []
    pipeline, dtype = (str(generator.get(name, "")) for name in ("pipeline", "dtype"))
    if not _CLASS.fullmatch(pipeline):
        return []
    arguments = f', revision="{revision}"' if revision not in ("", "main") else ""
    if dtype in ("torch.bfloat16", "torch.float16"):
        arguments += f", dtype={dtype}"
    return [
        "```python",
        "import diffusers, hnbench, torch",
        "",
        f'pipe = diffusers.{pipeline}.from_pretrained("{base or "BASE"}"{arguments})',
        'hypernetwork = hnbench.load_hypernetwork("THIS", pipe)',
        'prompt = "a red ring left of a blue star"',
        "noise = torch.randn(1, *hypernetwork.noise_shape)",
        "latents = hypernetwork(noise, prompt)",
        "image = pipe(prompt=prompt, latents=latents, **hypernetwork.arguments).images[0]",
        "```",
        "",
        *(["BASE is the folder of the generator above.", ""] if not base else []),
    ]


def _how_to_load(
    kind: str,
    generator: Mapping[str, Any],
    *,
    dense: bool,
    by_diffusers: Mapping[str, str] | None,
) -> list[str]:
    """The lines on how to load the adapter."""
    lines = [
        (
            "`hnbench run` compares it with its base; its help names the option that takes THIS"
            f" as an adapter of the kind {markdown(kind)}."
        ),
        "",
    ]
    if dense:
        note = (
            "The LoRA of grouped convolutions is dense, as peft before 0.16 made it; newer versions"
            " of peft and diffusers refuse it."
        )
        return [*lines, note]
    lines.append(
        "THIS is this folder, or its name on the Hub. In Python,"
        " `peft.PeftModel.from_pretrained(backbone, THIS)` loads it,"
    )
    if by_diffusers is not None:
        arguments = "".join(f', {name}="{value}"' for name, value in by_diffusers.items())
        call = f"    backbone.load_lora_adapter(THIS{arguments})"
        lines += ["and so does", "", call, "", "of diffusers,"]
    lines.append(
        "where `backbone` is the pipeline's"
        f" {markdown(str(generator.get('backbone', 'denoising network')))}."
    )
    if kind in OF_NOISE:
        layer = markdown(str(generator.get("last_layer", "see hnbench.json")))
        lines.append(
            f"For the change of the noise, its last layer ({layer}) must then give its low-rank"
            " delta only, without base output and bias."
        )
    return lines


def _pairs(config: Mapping[str, Any]) -> str:
    """How the pairs of a regression were made."""
    count, iterations, rate = (markdown(str(config.get(name))) for name in OF_REGRESSION)
    return f"{count}, by ReNO with {iterations} iterations and learning rate {rate}"


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
