"""Names -> factories, imported only when asked for.

A registry knows the built-in names and those that installed packages add through the entry-point
groups `hnbench.generators`, `hnbench.rewards`, `hnbench.methods`, `hnbench.suites`,
`hnbench.measures` and `hnbench.prompts`. Listing imports none of them. What stands after `NAME@` is
a factory's `where`, if the entry has sources: a folder or a repository to use instead of them. The
factories are called as

    generator: factory(*, device: str, dtype: str, **options) -> Generator      (options: see
                                                                                hnbench.catalogue.loading.load_generator)
    reward:    factory(*, device: str, dtype: str) -> Reward
    method:    factory(**parameters) -> Method      (a dataclass: its fields are the parameters)
    suite:     factory(**given) -> Suite        (given: `part` and options, of those that its entry
                                                names)
    measure:   factory(device: str) -> Measure
    prompts:   factory(folder: Path | None) -> Sequence[str]    (the folder has other projects'
                                                                prompt files)
"""

from __future__ import annotations

import difflib
import types
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from hnbench.errors import UsageError
from hnbench.files.escaping import printable
from hnbench.files.prompt_files import is_prompt_file
from hnbench.measures import sources as measure_sources
from hnbench.rewards import sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hnbench.methods.base import Method
    from hnbench.suites.base import Suite
    from hnbench.weights.hub import Source


@dataclass(frozen=True)
class Entry:
    """One name: what it stands for and where its factory is."""

    name: str
    target: str
    """`"package.module:attribute"`, the factory."""
    summary: str
    needs: str = ""
    """Requirements beyond hnbench itself (files, a download, a device)."""
    adapter: str = ""
    """For a method: the kind of training (`"hypernoise"`, `"finetune"`) whose adapter it takes as
    `adapter`.
    """
    sources: tuple[Source, ...] = ()
    """The Hub's files that it is loaded from. `NAME@WHERE` takes them from a local folder, or the
    first of them from another repository.
    """
    weights: Mapping[str, float] = field(default_factory=dict)
    """For a mixture of rewards: name -> weight, what the name stands for."""
    parts: tuple[str, ...] = ()
    """For a suite: the parts that can be asked for by `name:part`."""
    options: tuple[str, ...] = ()
    """For a suite: what can be given as `name:key=value`."""
    dtype: str = "float32"
    """For a generator: what it computes in unless the user says otherwise."""
    package: str = "hnbench"
    """The installed package that provides it."""

    def load(self) -> Callable[..., Any]:
        """Import the factory. A third-party factory that cannot be imported is a `UsageError` that
        names its package.
        """
        try:
            factory: Callable[..., Any] = EntryPoint(self.name, self.target, "").load()
        except (ImportError, AttributeError) as error:
            if self.package == "hnbench":
                raise
            raise UsageError(
                f"{self.name!r} of package {self.package} cannot be imported from {self.target}:"
                f" {error}"
            ) from error
        return factory


class Registry:
    """Lazy names of one kind; `kind` is the word for messages, `group` the entry-point group of
    third parties.
    """

    def __init__(self, kind: str, group: str, *built_in: Entry) -> None:
        self.kind = kind
        self.group = group
        self.built_in = built_in

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All entries by name, built-in ones first. Two providers of one name are a `UsageError`
        that names both.
        """
        found: dict[str, Entry] = {}
        for entry in (*self.built_in, *self._third_party()):
            if entry.name in found:
                other = found[entry.name]
                raise UsageError(
                    f"the {self.kind} {entry.name!r} has two providers: {other.target} of"
                    f" {other.package} and {entry.target} of {entry.package}; uninstall one of the"
                    " packages or rename its entry point"
                )
            found[entry.name] = entry
        return found

    def _third_party(self) -> Iterable[Entry]:
        for point in sorted(
            entry_points(group=self.group), key=lambda point: (point.name, point.value)
        ):
            package = point.dist.name if point.dist else "an unknown package"
            yield Entry(
                point.name, point.value, f"provided by the package {package}", package=package
            )

    def entry(self, name: str) -> Entry:
        """The entry of `NAME` or `NAME@WHERE`; its factory is not imported. An unknown name is a
        `UsageError` that lists the known ones.
        """
        own, at, where = name.partition("@")
        if own not in self.entries:
            shown = own if len(own) <= 60 else f"{own[:57]}..."
            raise UsageError(f"unknown {self.kind} {shown!r}{_near(shown, self.entries)}")
        entry = self.entries[own]
        if at and not (where and entry.sources):
            raise UsageError(
                f"the {self.kind} was {name!r}; "
                + (f"type {own}@FOLDER" if entry.sources else f"nothing can follow {own!r}")
            )
        return entry

    def get(self, name: str) -> Callable[..., Any]:
        """Import and return the factory of `NAME`, or of `NAME@WHERE` with its `where`."""
        factory = self.entry(name).load()
        where = name.partition("@")[2]
        return partial(factory, where=where) if where else factory

    def sources(self, name: str) -> tuple[Source, ...]:
        """What `NAME` or `NAME@WHERE` needs of the Hub, a mixture's parts included."""
        from hnbench.weights.hub import wanted

        entry = self.entry(name)
        parts = [source for part in entry.weights for source in self.sources(part)]
        return (*wanted(entry.sources, name.partition("@")[2]), *parts)


def _near(name: str, known: Iterable[str]) -> str:
    listed = sorted(known)
    near = difflib.get_close_matches(name, listed, n=1)
    return (
        f"; did you mean {near[0]!r}?" if near else ";"
    ) + f" known: {', '.join(listed) or 'none'}"


_SOURCES = "hnbench.generators.sources"
_DOWNLOAD = "a download from the Hub; in practice a GPU"

GENERATORS = Registry(
    "generator",
    "hnbench.generators",
    Entry(
        "shapes",
        "hnbench.shapes.models:load_generator",
        "one-step distilled Stable Diffusion of the embedded shapes world, 64x64",
    ),
    Entry(
        "sd-turbo",
        f"{_SOURCES}:SD_TURBO",
        "SD-Turbo, 0.9 billion parameters, 512x512, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
    ),
    Entry(
        "sdxl-turbo",
        f"{_SOURCES}:SDXL_TURBO",
        "SDXL-Turbo, 512x512, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
    ),
    Entry(
        "pixart-dmd",
        f"{_SOURCES}:PIXART_DMD",
        "PixArt-alpha DMD, 512x512, one step",
        needs=_DOWNLOAD,
        dtype="bfloat16",
    ),
    Entry(
        "sana-sprint-0.6b",
        f"{_SOURCES}:SANA_SPRINT_SMALL",
        "SANA-Sprint, 0.6 billion parameters, 1024x1024, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
    ),
    Entry(
        "sana-sprint-1.6b",
        f"{_SOURCES}:SANA_SPRINT_LARGE",
        "SANA-Sprint, 1.6 billion parameters, 1024x1024, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
    ),
    Entry(
        "flux-schnell",
        f"{_SOURCES}:FLUX_SCHNELL",
        "FLUX.1-schnell, 12 billion parameters, 512x512, 1 to 4 steps",
        needs=f"its terms accepted and a token (it is gated); {_DOWNLOAD}",
        dtype="bfloat16",
    ),
)

REWARDS = Registry(
    "reward",
    "hnbench.rewards",
    Entry(
        "shapes-clip",
        "hnbench.shapes.models:load_clip",
        "CLIP-like score of shapes images; the one that the shapes preset optimises",
    ),
    Entry(
        "shapes-resnet",
        "hnbench.shapes.models:load_resnet",
        "the same question asked of another architecture and seed; held out",
    ),
    Entry(
        "redness",
        "hnbench.rewards.redness:load",
        "red minus the mean of green and blue; knows nothing of the prompt",
    ),
    Entry(
        "hpsv2.1",
        "hnbench.rewards.hpsv2:load_v21",
        "human preference score v2.1, a cosine",
        sources=sources.HPSV2_1,
    ),
    Entry(
        "hpsv2.0",
        "hnbench.rewards.hpsv2:load_v20",
        "human preference score v2.0, a cosine",
        sources=sources.HPSV2_0,
    ),
    Entry(
        "imagereward",
        "hnbench.rewards.imagereward:load",
        "human preference, by BLIP",
        sources=sources.IMAGEREWARD,
    ),
    Entry(
        "pickscore",
        "hnbench.rewards.clip:load_pickscore",
        "human preference: CLIP trained on Pick-a-Pic",
        sources=sources.PICKSCORE,
    ),
    Entry(
        "clip",
        "hnbench.rewards.clip:load",
        "CLIP score, 100 times a cosine; clip@OTHER for any CLIPModel",
        sources=sources.CLIP,
    ),
    Entry(
        "aesthetic",
        "hnbench.rewards.aesthetic:load",
        "LAION's aesthetic predictor; ignores the prompt",
        sources=sources.AESTHETIC,
    ),
    Entry(
        "human-preference",
        "hnbench.rewards.base:Mixture",
        "what ReNO and HyperNoise optimise: 5 hpsv2.1 + imagereward + 0.01 clip + 0.05 pickscore",
        weights=sources.HUMAN_PREFERENCE,
    ),
)

_BY_HAND = "its prompt files, got by hand: set HNBENCH_DATA"

SUITES = Registry(
    "suite",
    "hnbench.suites",
    Entry(
        "geneval-shapes",
        "hnbench.suites.shapes:ShapesSuite",
        "GenEval's six tasks in the shapes world, judged by a classical detector",
    ),
    Entry(
        "t2i-compbench",
        "hnbench.suites.t2i_compbench.suite:CompBenchSuite",
        "T2I-CompBench++'s eight categories (t2i-compbench:color for one), judged by BLIP-VQA, a"
        " detector and CLIPScore",
        needs="its prompts and its judges' models, downloaded on first use",
        parts=(
            "color",
            "shape",
            "texture",
            "spatial",
            "3d-spatial",
            "numeracy",
            "non-spatial",
            "complex",
        ),
        options=("blip", "clip", "detector", "depth", "parser", "rules"),
    ),
    Entry(
        "parti",
        "hnbench.suites.prompt_sets:parti",
        "PartiPrompts, 1632 prompts; no judge",
        needs="its prompts, downloaded on first use",
    ),
    Entry(
        "hpdv2",
        "hnbench.suites.prompt_sets:hpdv2",
        "HPDv2's benchmark, 3200 prompts in four styles; no judge",
        needs=_BY_HAND,
    ),
    Entry(
        "dpg",
        "hnbench.suites.prompt_sets:dpg",
        "DPG-Bench's 1065 long prompts; no judge",
        needs=_BY_HAND,
    ),
    Entry(
        "geneval",
        "hnbench.suites.geneval.suite:GenEvalSuite",
        "GenEval as published: 553 prompts, 4 images each",
        needs="a download of 2 GB: Mask2Former of mmdet, CLIP ViT-L/14",
    ),
    Entry(
        "geneval-hf",
        "hnbench.suites.geneval.suite:GenEvalHuggingFaceSuite",
        "geneval with another training of the detector; not comparable with published scores",
        needs="a download of 2 GB: Mask2Former of the Hub, CLIP ViT-L/14",
    ),
)

MEASURES = Registry(
    "measure",
    "hnbench.measures",
    Entry(
        "lpips",
        "hnbench.measures.lpips:load",
        "diversity: mean LPIPS (AlexNet) between a prompt's images; higher is more diverse",
        needs="a download of 244 MB: AlexNet",
    ),
    Entry(
        "dino-similarity",
        "hnbench.measures.published:dino_similarity",
        "diversity: mean cosine of DINOv2 ViT-B/14 between a prompt's images; lower is more"
        " diverse",
        sources=(measure_sources.DINOV2_BASE,),
    ),
    Entry(
        "dino-vendi",
        "hnbench.measures.published:dino_vendi",
        "diversity: Vendi score of the same features, the effective number of different images",
        sources=(measure_sources.DINOV2_BASE,),
    ),
    Entry(
        "cmmd",
        "hnbench.measures.published:cmmd",
        "fidelity: CMMD to the base's images, by CLIP ViT-L/14 at 336 pixels",
        sources=(measure_sources.CLIP_336,),
    ),
    Entry(
        "fd-dinov2",
        "hnbench.measures.published:fd_dinov2",
        "fidelity: Fréchet distance to the base's images, by DINOv2 ViT-L/14",
        sources=(measure_sources.DINOV2_LARGE,),
    ),
    Entry(
        "vqascore",
        "hnbench.measures.vqascore:load",
        "does the image show what the prompt says, asked of a vision-language model;"
        " vqascore@OWNER/NAME for another",
        sources=(measure_sources.VQASCORE,),
    ),
    Entry(
        "shapes-similarity",
        "hnbench.measures.shapes:similarity",
        "dino-similarity's formula over the image features of shapes-resnet",
    ),
    Entry("shapes-vendi", "hnbench.measures.shapes:vendi", "dino-vendi's formula over them"),
    Entry("shapes-mmd", "hnbench.measures.shapes:mmd", "cmmd's formula over them"),
    Entry("shapes-fd", "hnbench.measures.shapes:frechet", "fd-dinov2's formula over them"),
)

PROMPT_FILES = Entry(
    "FILE",
    "hnbench.suites.prompt_file:PromptFileSuite",
    "the prompts of a text, CSV, TSV, JSONL or JSON file; no judge",
)
"""The entry for a suite given as a file path."""

METHODS = Registry(
    "method",
    "hnbench.methods",
    Entry(
        "random",
        "hnbench.methods.random:Random",
        "the starting noise itself; the base of every comparison",
    ),
    Entry(
        "best-of-n",
        "hnbench.methods.best_of_n:BestOfN",
        "the best of n noises by the optimised reward",
    ),
    Entry(
        "reno",
        "hnbench.methods.reno:ReNO",
        "gradient ascent of the optimised reward in the noise, per sample",
    ),
    Entry(
        "hypernoise",
        "hnbench.methods.hypernoise:HyperNoise",
        "the noise changed by a trained hypernetwork, in one pass",
        needs="a trained hypernetwork",
        adapter="hypernoise",
    ),
    Entry(
        "finetune",
        "hnbench.methods.finetune:FineTuned",
        "the generator with a LoRA trained on the same reward",
        needs="a fine-tuned adapter",
        adapter="finetune",
    ),
    Entry(
        "hypernoise-random-direction",
        "hnbench.methods.controls:RandomDirection",
        "control: a random direction of the length of the hypernetwork's change",
        needs="a trained hypernetwork",
        adapter="hypernoise",
    ),
    Entry(
        "hypernoise-other-noise",
        "hnbench.methods.controls:OtherNoise",
        "control: the change that the hypernetwork computes for another noise",
        needs="a trained hypernetwork",
        adapter="hypernoise",
    ),
)


PROMPTS = Registry(
    "prompt set",
    "hnbench.prompts",
    Entry(
        "shapes",
        "hnbench.catalogue.training_prompts:shapes",
        "the captions that the shapes adapters were trained on",
    ),
    Entry(
        "hypernoise",
        "hnbench.catalogue.training_prompts:hypernoise",
        "the next three together, some 70,000: what HyperNoise was trained on",
        needs="downloads of some 6 MB",
    ),
    Entry(
        "t2i-compbench-train",
        "hnbench.catalogue.training_prompts:t2i_compbench",
        "T2I-CompBench's 4,900 training prompts",
        needs="a download of 0.3 MB",
    ),
    Entry(
        "abc-6k",
        "hnbench.catalogue.training_prompts:abc_6k",
        "ABC-6K's 6,434 prompts with two coloured things",
        needs="a download of 0.4 MB",
    ),
    Entry(
        "pick-a-pic",
        "hnbench.catalogue.training_prompts:pick_a_pic",
        "HyperNoise's list of some 59,000 prompts of Pick-a-Pic, unfiltered",
        needs="a download of some 5 MB",
    ),
    Entry(
        "hypernoise-examples",
        "hnbench.catalogue.training_prompts:hypernoise_examples",
        "the official code's 25 examples",
        needs="a download of 3 kB",
    ),
)


def find_suite(specification: str) -> tuple[Entry, dict[str, Any]]:
    """The entry of `"name"`, `"name:part"`, `"name:part,key=value"` or a prompt file's path, and
    what its factory is to be given.
    """
    name, colon, listed = specification.partition(":")
    if name not in SUITES.entries and is_prompt_file(specification):
        return PROMPT_FILES, {"path": Path(specification)}
    entry = SUITES.entry(name)
    given: dict[str, Any] = {}
    for item in listed.split(",") if colon else ():
        key, equals, value = (text.strip() for text in item.partition("="))
        if not equals:
            key, value = "part", key
        if key == "part" and value not in entry.parts:
            raise UsageError(f"the suite {name!r} has no part {value!r}{_near(value, entry.parts)}")
        if key != "part" and key not in entry.options:
            raise UsageError(f"the suite {name!r} has no option {key!r}{_near(key, entry.options)}")
        if key in given or not value:
            raise UsageError(f"suite {specification!r}: give {key} once, and a value with it")
        given[key] = value
    return entry, given


def make_suite(specification: str) -> Suite:
    """The suite of a specification; see `find_suite`."""
    entry, given = find_suite(specification)
    suite: Suite = entry.load()(**given)
    return suite


def parse_method(specification: str) -> tuple[str, dict[str, str]]:
    """Split `"name"` or `"name:key=value,key=value"` into the name and the values as typed."""
    name, colon, listed = specification.partition(":")
    values: dict[str, str] = {}
    for part in listed.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key.strip() and equals):
            raise UsageError(
                f"method {specification!r}: {part!r} is not key=value; type for example"
                " reno:iterations=20"
            )
        if key.strip() in values:
            raise UsageError(f"method {specification!r} gives {key.strip()} twice")
        values[key.strip()] = value.strip()
    return name.strip(), values


def make_method(specification: str, defaults: Mapping[str, Any] | None = None) -> Method:
    """The method of a specification. `defaults` are parameters (already typed) that the
    specification does not give.
    """
    name, typed = parse_method(specification)
    factory: Any = METHODS.get(name)
    if not (isinstance(factory, type) and is_dataclass(factory)):
        raise UsageError(
            f"the method {name!r} cannot be made: {_name_of(factory)} is not a dataclass. Its"
            " fields would be the method's parameters; its package must put @dataclass on it"
        )
    parameters: dict[str, Any] = dict(defaults or {}) | _convert(name, factory, typed)
    missing = [
        item.name
        for item in fields(factory)
        if item.default is MISSING and item.default_factory is MISSING and item.init
    ]
    for key in missing:
        if key not in parameters:
            raise UsageError(f"method {name!r} needs {key}; type {name}:{key}=VALUE")
    method: Any = factory(**parameters)
    return method  # type: ignore[no-any-return]


def _name_of(factory: Any) -> str:
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    return printable(f"{getattr(factory, '__module__', '')}.{name}")


def _convert(name: str, factory: Any, typed: Mapping[str, str]) -> dict[str, Any]:
    """The typed values, as the types that the factory's fields are annotated with."""
    known = {item.name for item in fields(factory) if item.init}
    hints = get_type_hints(factory)
    values = {}
    for key, text in typed.items():
        if key not in known:
            raise UsageError(f"method {name!r} has no parameter {key!r}{_near(key, known)}")
        try:
            values[key] = _value(text, hints[key])
        except ValueError as error:
            raise UsageError(
                f"method {name!r}: {key} was {text!r}; it must be {_describe(hints[key])}"
            ) from error
    return values


def _value(text: str, annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        if type(None) in get_args(annotation) and text.lower() == "none":
            return None
        return _value(text, next(kind for kind in get_args(annotation) if kind is not type(None)))
    if annotation is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    return annotation(text)


def _describe(annotation: Any) -> str:
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_describe(kind) for kind in get_args(annotation))
    return {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Path: "a path",
        type(None): "none",
    }.get(annotation, "text")
