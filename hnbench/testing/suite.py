"""The check of a suite and of its judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy

from hnbench.guards.answers import as_many, shown
from hnbench.suites.base import Judge, Prompt, Suite, Verdict
from hnbench.testing.contract import (
    as_a_run_checks,
    name_of,
    require,
    require_fingerprint,
    require_text,
)
from hnbench.testing.pictures import pictures


def check_suite(suite: Suite, *, image_size: int = 64, device: str = "cpu") -> None:
    """Check a suite, and its judge with one square picture of `image_size` pixels for each tag.
    `ContractError` if it breaks its contract.

    The judge is made twice on the `device`, and its `verify` has to pass.
    """
    who = name_of("suite", suite)
    _check_description(who, suite)
    _check_prompts(who, suite)
    _check_protocols(who, suite)
    judge = suite.judge(device=device)
    if judge is not None:
        require(isinstance(judge, Judge), who, "judge() has to return a Judge or None")
        again = suite.judge(device=device)
        require(
            again is not None and again.fingerprint == judge.fingerprint,
            who,
            "judge() has to give the same judge each time",
            "the fingerprints differ",
        )
        _check_judge(name_of("judge", judge), judge, suite, image_size)


def _check_description(who: str, suite: Suite) -> None:
    require_text(who, "name", suite.name)
    require_text(who, "version", suite.version)
    tags, notes = suite.tags, suite.notes
    require(
        isinstance(tags, tuple) and tags and len(set(tags)) == len(tags),
        who,
        "tags has to be a tuple of different texts that is not empty",
        f"got {tags!r}"[:200],
    )
    require(
        isinstance(notes, tuple) and all(isinstance(note, str) for note in notes),
        who,
        "notes has to be a tuple of texts",
        f"got {notes!r}"[:200],
    )


def _check_prompts(who: str, suite: Suite) -> None:
    prompts = suite.prompts()
    require(
        isinstance(prompts, tuple) and prompts and all(isinstance(p, Prompt) for p in prompts),
        who,
        "prompts() has to return a tuple of Prompts that is not empty",
        f"got {shown(prompts)}",
    )
    twice = [name for name, count in Counter(one.id for one in prompts).items() if count > 1]
    require(not twice, who, "the ids of the prompts have to differ", f"{twice[:3]} occur twice")
    for prompt in prompts:
        require_text(who, f"the text of the prompt {prompt.id!r}", prompt.text)
        require(
            isinstance(prompt.metadata, Mapping),
            who,
            f"the metadata of {prompt.id!r} has to be a mapping",
        )
    used = {prompt.tag for prompt in prompts}
    require(
        used == set(suite.tags),
        who,
        "the tags of the prompts have to be those of the suite",
        f"they differ in {sorted(used ^ set(suite.tags))}",
    )
    require(suite.prompts() == prompts, who, "prompts() has to return the same prompts each time")


def _check_protocols(who: str, suite: Suite) -> None:
    prompts, quick = suite.prompts(), suite.subset()
    chosen = {prompt.id for prompt in quick}
    require(
        quick and tuple(one for one in prompts if one.id in chosen) == tuple(quick),
        who,
        "subset() has to return some of prompts(), in their order",
    )
    for full, listed in ((True, prompts), (False, quick)):
        for prompt in listed:
            samples = suite.samples(prompt, full=full)
            require(
                type(samples) is int and samples > 0,
                who,
                "samples() has to return a whole number above 0",
                f"got {shown(samples)} for {prompt.id!r} with full={full}",
            )


def _check_judge(who: str, judge: Judge, suite: Suite, image_size: int) -> None:
    require_text(who, "name", judge.name)
    require_fingerprint(who, lambda: judge.fingerprint)
    require(isinstance(judge.networks, Mapping), who, "networks has to be a mapping")
    judge.verify()
    one_each = list({prompt.tag: prompt for prompt in reversed(suite.prompts())}.values())
    about = [prompt.metadata for prompt in one_each]
    images = pictures(len(about), image_size)
    before = deepcopy(about), [image.tobytes() for image in images]
    with as_a_run_checks():
        verdicts = as_many(who, judge.judge(images, about), len(about), "verdicts")
    require(
        all(isinstance(verdict, Verdict) for verdict in verdicts),
        who,
        "judge has to return a list of Verdicts",
        f"got {shown(verdicts[0])}",
    )
    require(
        (about, [image.tobytes() for image in images]) == before,
        who,
        "judge must not change the images and the metadata it is given",
    )
    rule = "a verdict must not depend on the other images"
    for image, metadata, verdict in zip(images, about, verdicts, strict=True):
        alone = list(judge.judge([image], [metadata]))
        require(alone == [verdict], who, rule, f"got {alone} instead of {verdict}")
    swapped = list(judge.judge(images[::-1], about[::-1]))
    require(swapped == list(verdicts)[::-1], who, f"{rule}, or on their order")
