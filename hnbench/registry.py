"""Names -> factories, imported only when asked for.

A registry knows the built-in names and those that installed packages add through the entry-point groups
`hnbench.generators`, `hnbench.rewards`, `hnbench.methods` and `hnbench.suites`. Listing imports none of them.
The factories are called as

    generator: factory(*, device: str, dtype: str) -> Generator
    reward:    factory(*, device: str, dtype: str) -> Reward
    method:    factory(**parameters) -> Method      (a dataclass: its fields are the parameters)
    suite:     factory() -> Suite
"""

from __future__ import annotations

import difflib
import types
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hnbench.methods.base import Method


@dataclass(frozen=True)
class Entry:
    """One name: what it stands for and where its factory is."""

    name: str
    target: str
    """`"package.module:attribute"`, the factory."""
    summary: str
    needs: str = ""
    """What has to be there before it can be used, beyond hnbench itself: files, a download, a device."""
    adapter: str = ""
    """For a method: the kind of training (`"hypernoise"`, `"finetune"`) whose adapter it takes as `adapter`."""
    package: str = "hnbench"
    """The installed package that provides it."""

    def load(self) -> Callable[..., Any]:
        """Import the factory. A third-party factory that cannot be imported is a `UsageError` that names its package."""
        try:
            factory: Callable[..., Any] = EntryPoint(self.name, self.target, "").load()
        except (ImportError, AttributeError) as error:
            if self.package == "hnbench":
                raise
            raise UsageError(f"{self.name!r} of package {self.package} cannot be imported from {self.target}: {error}") from error
        return factory


class Registry:
    """Lazy names of one kind; `kind` is the word for messages, `group` the entry-point group of third parties."""

    def __init__(self, kind: str, group: str, *built_in: Entry) -> None:
        self.kind = kind
        self.group = group
        self.built_in = built_in

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All entries by name, built-in ones first. Two providers of one name are a `UsageError` that names both."""
        found: dict[str, Entry] = {}
        for entry in (*self.built_in, *self._third_party()):
            if entry.name in found:
                other = found[entry.name]
                raise UsageError(
                    f"the {self.kind} {entry.name!r} has two providers: {other.target} of {other.package} and {entry.target} of "
                    f"{entry.package}; uninstall one of the packages or rename its entry point"
                )
            found[entry.name] = entry
        return found

    def _third_party(self) -> Iterable[Entry]:
        for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, point.value)):
            package = point.dist.name if point.dist else "an unknown package"
            yield Entry(point.name, point.value, f"provided by the package {package}", package=package)

    def entry(self, name: str) -> Entry:
        """The entry of a name, without importing its factory. An unknown name is a `UsageError` that lists the known ones."""
        if name not in self.entries:
            shown = name if len(name) <= 60 else f"{name[:57]}..."
            raise UsageError(f"unknown {self.kind} {shown!r}{_near(shown, self.entries)}")
        return self.entries[name]

    def get(self, name: str) -> Callable[..., Any]:
        """Import and return the factory of a name."""
        return self.entry(name).load()


def _near(name: str, known: Iterable[str]) -> str:
    listed = sorted(known)
    near = difflib.get_close_matches(name, listed, n=1)
    return (f"; did you mean {near[0]!r}?" if near else ";") + f" known: {', '.join(listed) or 'none'}"


GENERATORS = Registry(
    "generator",
    "hnbench.generators",
    Entry("shapes", "hnbench.shapes.models:load_generator", "one-step distilled Stable Diffusion of the embedded shapes world, 64x64"),
)

REWARDS = Registry(
    "reward",
    "hnbench.rewards",
    Entry("shapes-clip", "hnbench.shapes.models:load_clip", "CLIP-like score of shapes images; the one that the shapes preset optimises"),
    Entry("shapes-resnet", "hnbench.shapes.models:load_resnet", "the same question asked of another architecture and seed; held out"),
    Entry("redness", "hnbench.rewards.redness:load", "red minus the mean of green and blue; knows nothing of the prompt"),
)

SUITES = Registry(
    "suite",
    "hnbench.suites",
    Entry("geneval-shapes", "hnbench.suites.shapes:ShapesSuite", "GenEval's six tasks in the shapes world, judged by a classical detector"),
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

METHODS = Registry(
    "method",
    "hnbench.methods",
    Entry("random", "hnbench.methods.random:Random", "the starting noise itself; the base of every comparison"),
    Entry("best-of-n", "hnbench.methods.best_of_n:BestOfN", "the best of n noises by the optimised reward"),
    Entry("reno", "hnbench.methods.reno:ReNO", "gradient ascent of the optimised reward in the noise, per sample"),
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


def parse_method(specification: str) -> tuple[str, dict[str, str]]:
    """Split `"name"` or `"name:key=value,key=value"` into the name and the values as typed."""
    name, colon, listed = specification.partition(":")
    values: dict[str, str] = {}
    for part in listed.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key.strip() and equals):
            raise UsageError(f"method {specification!r}: {part!r} is not key=value; type for example reno:iterations=20")
        if key.strip() in values:
            raise UsageError(f"method {specification!r} gives {key.strip()} twice")
        values[key.strip()] = value.strip()
    return name.strip(), values


def make_method(specification: str, defaults: Mapping[str, Any] | None = None) -> Method:
    """The method of a specification. `defaults` are parameters (already typed) that the specification does not give."""
    name, typed = parse_method(specification)
    factory: Any = METHODS.get(name)
    parameters: dict[str, Any] = dict(defaults or {}) | _convert(name, factory, typed)
    missing = [item.name for item in fields(factory) if item.default is MISSING and item.default_factory is MISSING and item.init]
    for key in missing:
        if key not in parameters:
            raise UsageError(f"method {name!r} needs {key}; type {name}:{key}=VALUE")
    method: Method = factory(**parameters)
    return method


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
            raise UsageError(f"method {name!r}: {key} was {text!r}; it must be {_describe(hints[key])}") from error
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
    return {bool: "true or false", int: "a whole number", float: "a number", Path: "a path", type(None): "none"}.get(annotation, "text")
