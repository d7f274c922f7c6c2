"""The model card of a trained adapter: its purpose, its training and how to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hnbench.files.escaping import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

PURPOSES = {
    "hypernoise": (
        "A noise hypernetwork (HyperNoise, arXiv 2508.09968): it predicts a change of a frozen"
        " generator's initial noise."
    ),
    "finetune": (
        "A directly fine-tuned generator, the comparison for a noise hypernetwork: the same LoRA on"
        " the generator itself."
    ),
}


def model_card(
    description: Mapping[str, Any], *, dense: bool, by_diffusers: Mapping[str, str] | None
) -> str:
    """The model card's text.

    `description` is the content of hnbench.json; `dense` says whether the LoRA of grouped
    convolutions is dense. `by_diffusers` holds the arguments of the backbone's `load_lora_adapter`;
    it is None if the backbone has no such method, as PixArt's. The front matter has nothing from
    the description, because text of others could break it; elsewhere such text is escaped by
    `markdown`.
    """
    generator, training = description.get("generator", {}), description.get("training", {})
    length = (
        f"{training.get('steps')} steps, {training.get('images')} images,"
        f" {training.get('seconds', 0):.0f} s"
    )
    gain, error = (
        _figure(description.get("evaluation", {}).get(name))
        for name in ("gain", "gain_standard_error")
    )
    config = description.get("config", {})
    rewards = ", ".join(
        f"{markdown(reward)} x {weight:g}" for reward, weight in config.get("rewards", {}).items()
    )
    kind, name = str(description.get("kind")), markdown(str(generator.get("name", "unknown")))
    lines = [
        "---",
        "library_name: peft",
        "tags: [lora, text-to-image]",
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
        f"| gain in held-out reward | {gain} +- {error} (standard error) |",
        "",
        *_how_to_load(kind, generator, dense=dense, by_diffusers=by_diffusers),
        "",
    ]
    return "\n".join(lines)


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
    if kind == "hypernoise":
        layer = markdown(str(generator.get("last_layer", "see hnbench.json")))
        lines.append(
            f"For the change of the noise, its last layer ({layer}) must then give its low-rank"
            " delta only, without base output and bias."
        )
    return lines


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
