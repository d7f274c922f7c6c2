"""`hnbench.diagnose`: the effect of a hypernetwork on noise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnbench.api.arguments import RESULTS, adapters_of, device_of, prompts_of
from hnbench.catalogue.loading import Dtype, dtype_of, find_adapter, load_generator
from hnbench.catalogue.presets import preset_of
from hnbench.display.screen import Screen
from hnbench.errors import UsageError
from hnbench.files.names import OF_MODELS, plain_name
from hnbench.files.writing import write_text


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of one hypernetwork."""

    path: Path
    """The JSON file with the same values."""
    values: dict[str, Any]
    """The values by name, as `hnbench.hypernetwork.diagnose.diagnose` describes them."""


def diagnose(
    *,
    hypernetwork: str | Path | None = None,
    generator: str = "shapes",
    prompts: str | Path | None = None,
    data_dir: str | Path | None = None,
    limit: int = 8,
    samples: int = 4,
    batch_size: int = 8,
    image_size: int | None = None,
    prompt_prefix: bool | None = None,
    max_sequence_length: int | None = None,
    memory: str = "none",
    seed: int = 0,
    device: str = "auto",
    dtype: Dtype | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Look at what a hypernetwork does to noise.

    KL divergence, Lipschitz constant, size of the change, and whether the noise stays Gaussian.
    `hnbench diagnose --help` describes the parameters.

    Raises `UsageError` for arguments that cannot be used, and `StoreError` if the file cannot be
    written.
    """
    preset = preset_of(generator)
    adapters = adapters_of(preset, hypernoise=hypernetwork)
    if "hypernoise" not in adapters:
        raise UsageError(
            f"the generator {generator!r} comes with no hypernetwork; give a folder or a repository"
            " on the Hub with `hypernetwork`"
        )
    with Screen(shown=progress) as screen:
        texts, _ = prompts_of(prompts, preset, generator, data_dir, screen)
        chosen_device = device_of(device, screen)

        # Heavy imports come only after wrong arguments have been refused.
        from hnbench.hypernetwork.adapter import Hypernetwork
        from hnbench.hypernetwork.attached import attach
        from hnbench.hypernetwork.checkpoint import adapter_sha256
        from hnbench.hypernetwork.diagnose import diagnose as look
        from hnbench.seeds import NoiseSource

        folder = find_adapter(adapters["hypernoise"], "hypernoise")
        options = {
            "image_size": image_size,
            "prompt_prefix": prompt_prefix,
            "max_sequence_length": max_sequence_length,
            "memory": memory,
        }
        screen.announce(f"loading {generator}")
        model = load_generator(generator, chosen_device, dtype_of(generator, dtype), **options)
        network = Hypernetwork(model, attach(model, folder, "hypernoise"))
        noises = NoiseSource(seed, model.noise_shape)
        chosen = texts[:limit]
        with screen.stages() as display:
            display.label("diagnosing noises", len(chosen) * samples)
            found = look(
                network,
                chosen,
                noises,
                samples=samples,
                batch_size=batch_size,
                done=display.advance,
            )
    sha256 = adapter_sha256(folder)
    name = plain_name(f"diagnosis-{generator}", ending=f"-{sha256[:8]}.json", also=OF_MODELS)
    path = RESULTS / name if out is None else Path(out)
    values = {"adapter": sha256, "generator": model.fingerprint, "base_seed": seed, **found}
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")
    return Diagnosis(path, dict(found))
