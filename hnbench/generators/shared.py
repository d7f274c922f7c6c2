"""A generator around a diffusers pipeline that its user has loaded and goes on using. The pipeline
is not changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.generators.parts import INDEX, kind_of_part, load_scheduler, pipeline_parts, read_json
from hnbench.generators.sources import FAMILIES
from hnbench.seeds import digest
from hnbench.weights import hub
from hnbench.weights.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from hnbench.generators.pipeline import PipelineGenerator

_VARIANTS = ("fp16", "bf16")
"""The variants in which a repository may offer the same weights."""


def around(pipeline: Any, weights: str, **options: Any) -> PipelineGenerator:
    """The generator of a pipeline's family, which shares the pipeline's parts.

    `weights` identifies the pipeline's weights (`possible_weights`); `options` are those of the
    family. A pipeline of no supported family, or one without a part that is needed, is a
    `UsageError`.
    """
    family = _family_of(pipeline)
    name = str(getattr(pipeline, "name_or_path", None) or type(pipeline).__name__)
    return family(
        pipeline,
        name=name,
        fingerprint=weights,
        # With offloading, the parts are on the CPU until they compute.
        device=str(pipeline._execution_device),  # noqa: SLF001
        shared=True,
        **options,
    )


def possible_weights(pipeline: Any) -> tuple[str, ...]:
    """The fingerprints that a generator from the same files may have for its weights.

    There are several, because a pipeline does not say which variant of its files it was loaded
    from. There is none if its parts are not all from one folder, or are not as that folder has
    them: the weights are unknown then.
    """
    folder = _common_folder(pipeline)
    if folder is None:
        return ()
    if repo := hub.repo_of(folder):
        known = digest({"pipeline": f"{repo}@{hub.commit_of(folder)}"})
    else:
        known = fingerprint_of(folder)
    parts = _parts_with_weights(folder)
    return known, *(digest([known, dict.fromkeys(parts, variant)]) for variant in _VARIANTS)


def _family_of(pipeline: Any) -> type[PipelineGenerator]:
    """The generator class for a pipeline. One of no supported family, or without a part that is
    needed, is a `UsageError`.
    """
    names = [kind.__name__ for kind in type(pipeline).__mro__]
    found = next((FAMILIES[name] for name in names if name in FAMILIES), None)
    if found is None:
        raise UsageError(
            f"the pipeline is a {type(pipeline).__name__}, which is not supported; give one of:"
            f" {', '.join(sorted(FAMILIES))}"
        )
    for part in _parts_of(found):
        if getattr(pipeline, part, None) is None:
            raise UsageError(
                f"the pipeline has no {part}; load the whole {found.pipeline_class}, with all of"
                " its parts"
            )
    return found


def _parts_of(family: type[PipelineGenerator]) -> tuple[str, ...]:
    return (*family.text_parts, family.backbone_part, "vae")


def _common_folder(pipeline: Any) -> Path | None:
    """The folder that all parts of a pipeline were loaded from, if its scheduler is as there."""
    places = [_place_of(getattr(pipeline, part)) for part in _parts_of(_family_of(pipeline))]
    folder = places[0].parent
    parts = {place.name for place in places}
    if not (folder / INDEX).is_file() or {place.parent for place in places} != {folder}:
        return None
    if parts != set(_parts_with_weights(folder)):
        return None
    stock = load_scheduler(folder)
    same = type(stock) is type(pipeline.scheduler) and dict(stock.config) == dict(
        pipeline.scheduler.config
    )
    return folder if same else None


def _place_of(part: Any) -> Path:
    """The folder that a model says it was loaded from: `FOLDER/PART` for a part of a pipeline."""
    return Path(getattr(part.config, "_name_or_path", ""))


def _parts_with_weights(folder: Path) -> list[str]:
    return [
        part
        for part, (_, name) in pipeline_parts(read_json(folder / INDEX)).items()
        if kind_of_part(part, name) == "weights"
    ]
