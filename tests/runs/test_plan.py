from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnbench.errors import UsageError
from hnbench.rewards.base import Mixture
from hnbench.runs.identity import RecordIds, describe
from hnbench.runs.plan import Plan, make_plan, spread
from hnbench.seeds import canonical, digest
from hnbench.suites.base import Prompt
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, RedReward, ToyGenerator
from tests.runs.world import CONFIG, Base, Best, Climb, WorldJudge, WorldSuite
from tests.suites.protocols import tasks_of

SUITE = WorldSuite(per_tag=3, samples={"dark": 1, "light": 4})


def described(**changes: object) -> dict[str, object]:
    config = replace(CONFIG, **changes)  # type: ignore[arg-type]
    mixture = Mixture({"brightness": (BrightnessReward(), 2.0)})
    return describe(
        config, SUITE, WorldJudge(), ToyGenerator(), rewards=mixture, held_out=[RedReward()]
    )


def plan(**changes: object) -> Plan:
    config = replace(CONFIG, **changes)  # type: ignore[arg-type]
    return make_plan(config, SUITE, [Base(), Best(), Climb()], described(**changes))


def test_full_quick_and_limited() -> None:
    full, quick, limited = plan(), plan(full=False), plan(limit=3)
    assert (full.protocol, quick.protocol, limited.protocol) == ("full", "quick", "full")
    assert [(task.prompt_id, task.sample) for task in quick.tasks] == [
        ("dark/0000", 0),
        ("light/0000", 0),
    ]
    assert full.tasks == tasks_of(SUITE, full=True)
    assert Counter(task.prompt_id for task in full.tasks)["light/0002"] == 4
    assert [prompt.id for prompt in limited.prompts] == ["dark/0000", "dark/0001", "light/0000"]
    assert len(list(full.expected())) == 4 * (3 + 12)


def test_a_plan_survives_its_manifest() -> None:
    manifest = json.loads(json.dumps({**described(), "plan": plan().to_json()}))
    read = Plan.from_manifest(manifest)
    assert read == plan()
    assert list(read.expected()) == list(plan().expected())


def test_ids_are_a_hash_of_what_the_documentation_lists() -> None:
    """The formula, written out: what changes it makes all records of old runs strangers."""
    shared = {
        "schema": 1,
        "suite": "world",
        "suite version": "1",
        "judge": digest("world-judge"),
        "generator": digest(["toy", 0]),
        "optimised rewards": {"brightness": [digest("brightness"), 2.0]},
        "held-out rewards": {"red": digest("red")},
        "base_seed": 0,
        "noise_policy": "per-prompt",
        "steps": 1,
        "dtype": "float32",
    }
    task = Task("dark/0001", "a dark thing, number 1", 0)
    own = {
        "prompt_id": "dark/0001",
        "prompt": "a dark thing, number 1",
        "sample": 0,
        "method": {"name": "climb"},
        "label": "climb",
    }
    assert plan().item(task, "climb").id == digest({**shared, **own})
    assert described()["identity"] == digest(shared)


def test_ids_are_unique_and_independent_of_plan_and_runtime() -> None:
    ids = {item.id for item in plan().expected()}
    assert len(ids) == 60
    assert {item.id for item in plan(batch_size=1, device="cuda").expected()} == ids
    assert {item.id for item in plan(full=False, limit=1, methods=("random",)).expected()} < ids


@pytest.mark.parametrize(
    "changes",
    [{"base_seed": 1}, {"noise_policy": "shared"}, {"steps": 2}, {"dtype": "bfloat16"}],
    ids=lambda changes: next(iter(changes)),
)
def test_every_identity_value_changes_every_id(changes: dict[str, object]) -> None:
    assert not {item.id for item in plan().expected()} & {
        item.id for item in plan(**changes).expected()
    }


def test_the_record_id_depends_on_each_of_its_parts() -> None:
    task, method = Task("a/0", "a cat", 0), canonical({"name": "reno", "iterations": 50})
    ids = {
        RecordIds({"steps": 1}).of(task, method, "reno"),
        RecordIds({"steps": 2}).of(task, method, "reno"),
        RecordIds({"steps": 1}).of(replace(task, prompt="a dog"), method, "reno"),
        RecordIds({"steps": 1}).of(replace(task, prompt_id="a/1"), method, "reno"),
        RecordIds({"steps": 1}).of(replace(task, sample=1), method, "reno"),
        RecordIds({"steps": 1}).of(task, canonical({"name": "reno", "iterations": 20}), "reno"),
        RecordIds({"steps": 1}).of(task, method, "other"),
    }
    assert len(ids) == 7


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.integers()
        | st.text(max_size=5)
        | st.lists(st.floats(allow_nan=False, allow_infinity=False)),
        max_size=6,
    ),
    st.text(max_size=20),
    st.text(max_size=20),
    st.integers(0, 99),
)
def test_an_id_is_the_digest_of_the_whole_identity(
    shared: dict[str, Any], prompt_id: str, prompt: str, sample: int
) -> None:
    method = {"name": "reno", "more": [1, 0.5, "é"]}
    own = {
        "prompt_id": prompt_id,
        "prompt": prompt,
        "sample": sample,
        "method": method,
        "label": "reno",
    }
    text = json.dumps({**shared, **own}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    found = RecordIds(shared).of(Task(prompt_id, prompt, sample), canonical(method), "reno")
    assert found == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@pytest.mark.parametrize("text", ["lone \ud800 surrogate", "\udfff"])
def test_a_prompt_that_is_no_unicode_is_refused(text: str) -> None:
    class Odd(WorldSuite):
        def prompts(self) -> tuple[Prompt, ...]:
            return (Prompt("odd/0000", text, "dark"),)

    with pytest.raises(UsageError, match="odd/0000' is not valid Unicode"):
        make_plan(CONFIG, Odd(per_tag=1), [Base()], described())


def test_two_methods_of_one_label_are_refused() -> None:
    with pytest.raises(UsageError, match="a row named 'climb'"):
        make_plan(CONFIG, SUITE, [Base(), Climb(), Climb()], described())


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 45))
def test_a_limit_is_spread_evenly_and_only_ever_adds(tags: list[str], limit: int) -> None:
    prompts = [Prompt(f"{tag}/{index}", "", tag) for index, tag in enumerate(tags)]
    chosen = spread(prompts, limit)
    assert len(chosen) == min(limit, len(prompts))
    assert [prompt for prompt in prompts if prompt in chosen] == list(chosen)
    counts, there = Counter(prompt.tag for prompt in chosen), Counter(tags)
    fullest = max(counts.values(), default=0)
    assert all(counts[tag] >= min(there[tag], fullest - 1) for tag in there)
    assert {prompt.id for prompt in chosen} <= {prompt.id for prompt in spread(prompts, limit + 1)}
    assert spread(prompts, None) == tuple(prompts)
