"""`hnbench.generate`: images of some prompts by several methods, from the same noises."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.api.arguments import (
    Several,
    Weights,
    check_names,
    device_of,
    held_out_of,
    several,
    weights_of,
)
from hnbench.api.batch_sizes import BatchSize, parse_batch_size
from hnbench.api.finetuned import (
    Finetuned,
    adapters_with,
    finetuned_sources,
    named_sources,
    rows_of,
)
from hnbench.api.generated_folder import check_folder, write_folder
from hnbench.catalogue.loading import (
    Dtype,
    dtype_of,
    load_generator,
    load_held_out,
    load_mixture,
    make_methods,
    parse_angle,
    steps_of,
)
from hnbench.catalogue.presets import preset_of
from hnbench.catalogue.vocabulary import unknown_words
from hnbench.config import check_held_out
from hnbench.display.screen import Screen
from hnbench.errors import SampleFailure, UsageError
from hnbench.files.escaping import quoted
from hnbench.files.prompt_files import LONG, checked_prompt, read_prompt_file
from hnbench.runs.frame import PASSES
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from PIL.Image import Image
    from torch import Tensor

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.runs.attempt import Attempt, Models
    from hnbench.runs.outcomes import Checked
    from hnbench.runs.record import Cost
    from hnbench.runs.scorer import Scorer
    from hnbench.tasks import Task

_WORDS_SHOWN = 8
"""The most unknown words in a note."""


@dataclass(frozen=True)
class GeneratedImage:
    """One image, by one method."""

    prompt: str
    sample: int
    label: str
    """The method's label, as in a report: `"best-of-4"`."""
    image: Image
    """8-bit RGB, as a run saves it."""
    noise: Tensor
    """The noise it was made from, `[*noise_shape]`, float32 or wider, on the generator's device."""
    rewards: dict[str, float]
    """Every reward by name, and their weighted total as `"optimised"`."""
    cost: Cost
    """Floating-point operations, passes and seconds of this image."""
    chosen_prompt: str | None = None
    """The prompt that it was made from, by a method that looks for another one; otherwise None."""


@dataclass(frozen=True)
class GeneratedImages:
    """All images of one call, prompt by prompt, sample by sample, method by method."""

    images: tuple[GeneratedImage, ...]
    folder: Path | None = None
    """The folder that they were written into, if any."""
    grids: tuple[Path, ...] = ()
    """The pages of the grid in the folder."""
    paths: tuple[Path, ...] = field(default=(), repr=False)
    """The file of each image, in the order of `images`."""

    @property
    def reward_names(self) -> tuple[str, ...]:
        """The names of the rewards; `"optimised"` only if the total is not simply one of them."""
        names = tuple(self.images[0].rewards)
        others = [name for name in names if name != "optimised"]
        is_one = any(
            all(one.rewards[name] == one.rewards["optimised"] for one in self.images)
            for name in others
        )
        return tuple(others) if is_one else names

    def frame(self) -> pd.DataFrame:
        """One row per image: prompt, sample, label, `reward_NAME`, seconds, floating-point
        operations, and the generator's passes as `passes_generator_forward` and
        `passes_generator_backward`; `chosen_prompt` if a method looked for another prompt.
        """
        import pandas as pd

        found = pd.DataFrame(
            {
                "prompt": one.prompt,
                "sample": one.sample,
                "label": one.label,
                **{f"reward_{name}": value for name, value in one.rewards.items()},
                "seconds": one.cost.seconds,
                "flops": one.cost.flops,
                f"{PASSES}generator_forward": one.cost.generator_forward,
                f"{PASSES}generator_backward": one.cost.generator_backward,
            }
            for one in self.images
        )
        if any(one.chosen_prompt for one in self.images):
            found["chosen_prompt"] = [one.chosen_prompt for one in self.images]
        return found


def generate(
    prompt: str | Sequence[str] | None = None,
    *,
    prompts: str | Path | None = None,
    method: Several = None,
    samples: int = 1,
    generator: str = "shapes",
    seed: int = 0,
    hypernetwork: str | Path | None = None,
    finetuned: Finetuned = None,
    amortised: str | Path | None = None,
    optimise: Weights = None,
    hold_out: Several = None,
    batch_size: BatchSize = "auto",
    device: str = "auto",
    dtype: Dtype | None = None,
    steps: int | None = None,
    image_size: int | None = None,
    prompt_prefix: bool | None = None,
    max_sequence_length: int | None = None,
    intermediate_timesteps: float | str | None = None,
    memory: str = "none",
    out: str | Path | None = None,
    progress: bool = True,
) -> GeneratedImages:
    """Make images of prompts, `samples` of each, by methods that start from the same noises.

    The default methods are `random` and, if the generator has a hypernetwork, `hypernoise`. A
    prompt has the same noises as in a run with the same `seed`. `prompts` is a file of prompts,
    instead of `prompt`. `out` is a folder for the images, a grid of them and a table; without it,
    nothing is written to disk. The other parameters are those of `hnbench.run`.

    Raises `UsageError` for arguments that cannot be used, also for a folder with anything else in
    it; `SampleFailure` if a method or a reward fails for an image; `StoreError` if the folder
    cannot be written to.
    """
    with Screen(shown=progress) as screen:
        texts, size = texts_of(prompt, prompts, screen), parse_batch_size(batch_size)
        if samples < 1:
            raise UsageError(f"`samples` was {samples}; it must be at least 1")
        preset = preset_of(generator)
        sources = finetuned_sources(finetuned)
        adapters = adapters_with(preset, sources, hypernetwork=hypernetwork, amortised=amortised)
        weights = weights_of(optimise, preset, generator)
        held_out = held_out_of(hold_out, preset, weights)
        default = (BASE, "hypernoise") if "hypernoise" in adapters else (BASE,)
        specifications = rows_of(several(method) or default, sources)
        check_names(generator, held_out, specifications)
        check_held_out(held_out, weights)
        options = {
            "image_size": image_size,
            "prompt_prefix": prompt_prefix,
            "max_sequence_length": max_sequence_length,
            "intermediate_timesteps": parse_angle(intermediate_timesteps),
        }
        settings = {
            "prompts": list(texts),
            "methods": list(specifications),
            "samples": samples,
            "generator": generator,
            "seed": seed,
            "hypernetwork": None if hypernetwork is None else str(hypernetwork),
            "finetuned": named_sources(finetuned),
            # Folders from before there was this parameter do not have it.
            **({} if amortised is None else {"amortised": str(amortised)}),
            "optimise": weights,
            "hold_out": list(held_out),
            "dtype": dtype_of(generator, dtype),
            "steps": steps_of(generator, steps),
            **options,
        }
        if out is not None:
            check_folder(Path(out), settings)
        _note_unknown_words(generator, texts, screen)
        chosen, precision = device_of(device, screen), dtype_of(generator, dtype)

        # Heavy imports come only after wrong arguments have been refused.
        from hnbench.runs.attempt import Models
        from hnbench.runs.batch_sizes import run_batch_sizes
        from hnbench.runs.scorer import Scorer
        from hnbench.seeds import NoiseSource
        from hnbench.tasks import Task

        screen.announce(f"loading {generator}, {', '.join([*weights, *held_out])}")
        model = load_generator(generator, chosen, precision, memory=memory, **options)
        methods = _ready(make_methods(specifications, preset, adapters), model)
        rewards = load_mixture(weights, chosen, precision)
        others = load_held_out(held_out, rewards, chosen, precision)
        # A text serves as its prompt's id: the noise depends on the text alone.
        tasks = [Task(text, text, sample) for text in texts for sample in range(samples)]
        models = Models(
            model, rewards, NoiseSource(seed, model.noise_shape), steps_of(generator, steps)
        )
        scorer = Scorer(rewards, others, model.device)
        sizes = (
            run_batch_sizes(model, rewards, texts[0], steps=models.steps.search, memory=memory)
            if size == "auto"
            else (size, size)
        )
        found = _all_generated(methods, models, scorer, tasks, sizes, screen)
        return found if out is None else _written(found, Path(out), settings, screen)


def texts_of(
    prompt: str | Sequence[str] | None, prompts: str | Path | None, screen: Screen
) -> tuple[str, ...]:
    """The prompts, each once and without white space around it, from one of the two sources. A
    prompt that is empty or has control characters is a `UsageError`.
    """
    if prompts is not None:
        if prompt:
            raise UsageError(
                f"a prompt was given and the file {str(prompts)!r} with `prompts`; give only one of"
                " them"
            )
        read = read_prompt_file(Path(prompts))
        for note in read.notes:
            screen.note(note)
        return read.texts
    given = several(prompt)
    if not given or not all(isinstance(text, str) and text.strip() for text in given):
        raise UsageError(
            f"the prompt was {prompt!r}; give a text, or several, that are not empty, or a file of"
            " prompts with `prompts`"
        )
    texts = (checked_prompt(f"the prompt {quoted(text)}", text) for text in given)
    return tuple(dict.fromkeys(texts))


def _note_unknown_words(generator: str, texts: Sequence[str], screen: Screen) -> None:
    """Say which words the generator does not know, and which prompts are very long."""
    words = dict.fromkeys(word for text in texts for word in unknown_words(generator, text))
    if words:
        shown = ", ".join(list(words)[:_WORDS_SHOWN])
        more = f" and {len(words) - _WORDS_SHOWN:,} more" if len(words) > _WORDS_SHOWN else ""
        screen.note(
            f"the generator {generator} was not trained on some words of the prompts: {shown}{more}"
            " (docs/shapes.md lists those that it knows)"
        )
    if longest := max((len(text) for text in texts if len(text) > LONG), default=0):
        screen.note(
            f"a prompt has {longest:,} characters; a text encoder reads the beginning and ignores"
            " the rest"
        )


def _all_generated(
    methods: Sequence[Method],
    models: Models,
    scorer: Scorer,
    tasks: Sequence[Task],
    sizes: tuple[int, int],
    screen: Screen,
) -> GeneratedImages:
    """All images. `sizes` are the batch sizes without and with the gradient."""
    from hnbench.runs.workload import needs_gradient

    found: dict[tuple[Task, str], GeneratedImage] = {}
    with screen.stages() as display:
        for one in methods:
            display.label(one.name, len(tasks))
            size = sizes[needs_gradient(one, models.steps.search)]
            for images in _generated(one, models, scorer, tasks, size):
                found |= images
                display.advance(len(images) // len(one.labels))
    labels = [label for one in methods for label in one.labels]
    return GeneratedImages(tuple(found[task, label] for task in tasks for label in labels))


def _written(
    found: GeneratedImages, folder: Path, settings: Mapping[str, Any], screen: Screen
) -> GeneratedImages:
    """The images, in their folder."""
    screen.announce(f"writing {folder}")
    files = write_folder(folder, found, settings)
    return replace(found, folder=folder, grids=files.grids, paths=files.images)


def _ready(methods: Sequence[Method], generator: Generator) -> tuple[Method, ...]:
    """The methods, prepared; one that cannot run on the generator is refused with its reason."""
    from hnbench.runs.preparation import prepare

    for method in methods:
        if method.sees_judge:
            raise UsageError(
                f"the method {method.name} optimises a judge's grade, and only the suite of a run"
                " has a judge; use `hnbench run`"
            )
    prepared = prepare(methods, generator, {})
    for method, reason in prepared.skipped:
        raise UsageError(f"the method {method.name} cannot run on this generator: {reason}")
    return prepared.methods


def _generated(
    method: Method, models: Models, scorer: Scorer, tasks: Sequence[Task], batch_size: int
) -> Iterator[Mapping[tuple[Task, str], GeneratedImage]]:
    """The images of one method, batch by batch."""
    from hnbench.runs.attempt import Proposer

    proposer = Proposer(method, models, batch_size)
    for start in range(0, len(tasks), batch_size):
        batch = tasks[start : start + batch_size]
        for attempt in proposer.attempts(batch, set(batch)):
            yield _scored(attempt, scorer, batch_size)


def _scored(
    attempt: Attempt, scorer: Scorer, batch_size: int
) -> dict[tuple[Task, str], GeneratedImage]:
    from hnbench.runs.pixels import to_picture
    from hnbench.runs.record import Failure

    outcomes: dict[tuple[Task, str], Checked] = {}
    for key, outcome in attempt.outcomes.items():
        if isinstance(outcome, Failure):
            raise SampleFailure(f"{key[1]} failed for {key[0].prompt!r}: {outcome.message}")
        outcomes[key] = outcome
    pictures = [to_picture(outcome.pixels) for outcome in outcomes.values()]
    shown = [(image, task.prompt) for image, (task, _) in zip(pictures, outcomes, strict=True)]
    rewards = scorer.score(shown, batch_size)
    found = {}
    for (key, outcome), image, values in zip(outcomes.items(), pictures, rewards, strict=True):
        task, label = key
        if isinstance(values, Failure):
            raise SampleFailure(f"{label} failed for {task.prompt!r}: {values.message}")
        cost = attempt.cost(outcome.share)
        found[key] = GeneratedImage(
            task.prompt,
            task.sample,
            label,
            image,
            outcome.noise,
            values,
            cost,
            outcome.chosen_prompt,
        )
    return found
