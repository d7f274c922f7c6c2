from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from hnbench.config import RunConfig, of_kind, values_of
from hnbench.errors import UsageError

CONFIG = RunConfig(
    suite="geneval",
    generator="toy",
    optimised={"clip": 0.5},
    held_out=("red",),
    methods=("random",),
)
OTHER: dict[str, Any] = {
    "suite": "other",
    "suite_version": "another",
    "generator": "other",
    "optimised": {"clip": 0.6},
    "held_out": ("blue",),
    "base_seed": 1,
    "noise_policy": "shared",
    "steps": 2,
    "render_steps": 4,
    "dtype": "bfloat16",
    "methods": ("random", "reno"),
    "full": True,
    "limit": 3,
    "batch_size": 7,
    "gradient_batch_size": 3,
    "device": "cuda",
    "image_size": 64,
    "prompt_prefix": True,
    "max_sequence_length": 256,
    "intermediate_timesteps": "even",
    "memory": "checkpoint-all,offload-text",
    "compile": True,
}
"""Another valid value for every field."""


def undeclared(kind: type) -> list[str]:
    return [
        item.name
        for item in fields(kind)
        if item.metadata.get("kind") not in ("identity", "plan", "runtime")
    ]


def test_every_field_is_declared_identity_plan_or_runtime() -> None:
    assert undeclared(RunConfig) == []


def test_an_undeclared_field_would_be_found() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Extended(RunConfig):
        forgotten: int = 0
        mistyped: int = of_kind("identitty", default=0)  # type: ignore[arg-type]

    assert undeclared(Extended) == ["forgotten", "mistyped"]


def test_the_kinds_share_out_all_fields() -> None:
    given = replace(
        CONFIG,
        suite_version="1",
        max_sequence_length=256,
        intermediate_timesteps="even",
        steps=2,
        render_steps=4,
        gradient_batch_size=3,
    )
    names = [name for kind in ("identity", "plan", "runtime") for name in values_of(given, kind)]
    assert sorted(names) == sorted(item.name for item in fields(RunConfig)) == sorted(OTHER)


def test_a_field_that_came_later_leaves_identities_as_they_were() -> None:
    assert (
        not {"suite_version", "max_sequence_length", "intermediate_timesteps", "render_steps"}
        & values_of(CONFIG, "identity").keys()
    )
    assert replace(CONFIG, max_sequence_length=256).identity != CONFIG.identity
    two = replace(CONFIG, steps=2)
    assert (
        replace(two, intermediate_timesteps="even").identity
        != replace(two, intermediate_timesteps=0.5).identity
        != two.identity
    )


@pytest.mark.parametrize("name", OTHER)
def test_identity_depends_on_identity_fields_and_on_no_other(name: str) -> None:
    start = replace(CONFIG, steps=2) if name == "intermediate_timesteps" else CONFIG
    changed = replace(start, **{name: OTHER[name]})
    assert (changed.identity != start.identity) == (name in values_of(changed, "identity"))
    assert (changed.folder_name != start.folder_name) == (name in values_of(changed, "identity"))


def test_the_order_of_rewards_is_no_identity() -> None:
    one, other = (
        replace(CONFIG, optimised=dict(pairs))
        for pairs in ([("a", 1.0), ("b", 2.0)], [("b", 2.0), ("a", 1.0)])
    )
    assert one.identity == other.identity


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_policy": "mine"}, "`noise_policy` was 'mine'; choose 'per-prompt' or 'shared'"),
        ({"steps": 0}, "`steps` was 0"),
        ({"batch_size": -1}, "`batch_size` was -1"),
        ({"limit": 0}, "`limit` was 0"),
        (
            {"memory": "checkpoint-everything"},
            (
                "the memory policy 'checkpoint-everything' is unknown; choose none, or one or"
                " several of checkpoint-decoder"
            ),
        ),
        (
            {"intermediate_timesteps": "even"},
            "lies between two steps, but `steps` was 1; set it to 2",
        ),
        ({"held_out": ("clip",)}, "clip cannot be optimised and held out"),
    ],
)
def test_bad_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(CONFIG, **changes)


@pytest.mark.parametrize(
    ("suite", "generator", "folder"),
    [
        ("geneval-shapes", "shapes", "geneval-shapes-shapes-seed0-fc049a1b"),
        ("t2i-compbench:color", "sd-turbo", "t2i-compbench-color-sd-turbo-seed0-bf5841b4"),
        (
            "t2i-compbench:color,rules=repaired",
            "o/n@main",
            "t2i-compbench-color,rules=repaired-o_n@main-seed0-2646f907",
        ),
    ],
)
def test_suites_known_by_name_have_the_folders_they_had_before_prompt_files_had_versions(
    suite: str, generator: str, folder: str
) -> None:
    assert replace(CONFIG, suite=suite, generator=generator).folder_name == folder


@pytest.mark.parametrize(
    ("suite", "beginning"),
    [
        ("prompts.txt", "prompts.txt-toy-seed0-"),
        (".hidden.txt", "hidden.txt-toy-seed0-"),
        ("a b\\c=d,e@f.txt", "a_b_c_d_e_f.txt-toy-seed0-"),
        ("con.txt", "_con.txt-toy-seed0-"),
        ("日本.txt", "__.txt-toy-seed0-"),
    ],
)
def test_the_folder_of_a_prompt_file_s_run_is_a_plain_name(suite: str, beginning: str) -> None:
    name = replace(CONFIG, suite=suite, suite_version="1").folder_name
    assert name.startswith(beginning)
    assert name != replace(CONFIG, suite=suite, suite_version="2").folder_name


def test_a_long_file_name_still_tells_the_runs_apart() -> None:
    one, other = (
        replace(CONFIG, suite="x" * 250 + end, suite_version="1", base_seed=7).folder_name
        for end in (".txt", ".csv")
    )
    assert one != other
    assert max(len(one), len(other)) <= 255
    assert "-seed7-" in one


def test_a_folder_name_is_one_folder() -> None:
    assert "/" not in replace(CONFIG, generator="somebody/some-model", suite="a/b").folder_name
