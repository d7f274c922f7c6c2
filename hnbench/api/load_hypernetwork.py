"""`hnbench.load_hypernetwork`: uses a trained hypernetwork with diffusers' own pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hnbench.catalogue.loading import find_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from hnbench.hypernetwork.in_pipeline import PipelineHypernetwork


def load_hypernetwork(adapter: str | Path, pipeline: Any) -> PipelineHypernetwork:
    """Load a noise hypernetwork for a diffusers pipeline.

        pipe = diffusers.StableDiffusionPipeline.from_pretrained("stabilityai/sd-turbo")
        hypernetwork = hnbench.load_hypernetwork("owner/name", pipe)
        noise = torch.randn(1, *hypernetwork.noise_shape)
        pipe(prompt=prompt, latents=hypernetwork(noise, prompt), **hypernetwork.arguments).images[0]

    `adapter` is a folder, or `owner/name[@revision]` on the Hub, which is downloaded. `pipeline` is
    that of SD-Turbo, SDXL-Turbo, SANA-Sprint, PixArt-alpha, FLUX.1-schnell or another model of
    their families; it shares its parts with the hypernetwork, and is not changed.

    Raises `UsageError` for a pipeline of another family, for an adapter that was trained for
    another model, and for one that is damaged or not a hypernetwork. If the origin of the
    pipeline's weights is not known (`from_single_file`, or parts of several places), that is a
    warning, and names and shapes alone are checked.
    """
    from hnbench.hypernetwork.in_pipeline import on_pipeline

    return on_pipeline(find_adapter(str(adapter), "hypernoise"), pipeline)
