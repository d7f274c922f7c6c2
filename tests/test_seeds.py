from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hnbench.seeds import NoiseSource, digest, seed_of
from hnbench.tasks import Task

SHAPE = (2, 3, 4)
TASKS = [Task(f"id/{index}", f"prompt {index // 2}", index % 2) for index in range(8)]
ANY_TEXT = st.text(st.characters(categories=["L", "N", "P", "Cs", "Cc", "So"]), max_size=40)


def test_digest_is_sha256_of_canonical_json() -> None:
    assert (
        digest({"b": [1, None], "a": "é"})
        == hashlib.sha256('{"a":"é","b":[1,null]}'.encode()).hexdigest()
    )
    with pytest.raises(ValueError, match="JSON compliant"):
        digest({"a": float("nan")})


def test_a_seed_is_63_bits_of_the_digest() -> None:
    assert (
        seed_of(0, "a cat", 1, 2)
        == int(hashlib.sha256(b'[0,"a cat",1,2]').hexdigest()[:16], 16) // 2
    )
    assert all(0 <= seed_of(index) < 2**63 for index in range(1000))


def test_the_noise_of_a_known_sample_never_changes() -> None:
    """All results rest on this: were these numbers to change, no run could be continued or
    compared.
    """
    noise = NoiseSource(0, SHAPE).draw(Task("single_object/0000", "a photo of a bench", 0))
    generator = torch.Generator("cpu").manual_seed(
        int(hashlib.sha256(b'[0,"a photo of a bench",0,0]').hexdigest()[:16], 16) >> 1
    )
    assert torch.equal(noise, torch.randn(SHAPE, generator=generator))


def test_noise_is_float32_standard_normal_on_the_cpu() -> None:
    noise = NoiseSource(0, (4, 64, 64)).draw(TASKS[0])
    assert (noise.dtype, noise.device.type, tuple(noise.shape)) == (
        torch.float32,
        "cpu",
        (4, 64, 64),
    )
    assert abs(float(noise.mean())) < 0.03
    assert abs(float(noise.std()) - 1) < 0.03


@given(st.permutations(TASKS), st.integers(1, 8), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_noise_depends_on_no_order_and_no_batch(
    order: list[Task], size: int, candidate: int
) -> None:
    source = NoiseSource(5, SHAPE)
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    found = torch.cat([source.batch(batch, candidate) for batch in batches])
    alone = torch.stack([NoiseSource(5, SHAPE).draw(task, candidate) for task in order])
    assert torch.equal(found, alone)


def test_noise_depends_on_nothing_but_its_four_parts() -> None:
    source, task = NoiseSource(0, SHAPE), TASKS[0]
    torch.manual_seed(99)
    before = torch.get_rng_state()
    noise = source.draw(task)
    assert torch.equal(
        torch.get_rng_state(), before
    )  # the global generator is neither used nor touched
    assert torch.equal(source.draw(replace(task, prompt_id="another")), noise)
    others = [
        NoiseSource(1, SHAPE).draw(task),
        source.draw(replace(task, prompt="another")),
        source.draw(replace(task, sample=7)),
        source.draw(task, 1),
    ]
    assert not any(torch.equal(noise, other) for other in others)


def test_the_shared_policy_gives_all_prompts_the_same_noises() -> None:
    source = NoiseSource(0, SHAPE, "shared")
    one, other = Task("a", "a cat", 1), Task("b", "a dog", 1)
    assert torch.equal(source.draw(one), source.draw(other))
    assert not torch.equal(source.draw(one), source.draw(replace(one, sample=2)))
    assert not torch.equal(source.draw(one), source.draw(one, 1))
    assert not torch.equal(source.draw(one), NoiseSource(1, SHAPE, "shared").draw(one))
    assert not torch.equal(source.draw(one), NoiseSource(0, SHAPE).draw(one))


def test_the_seeds_between_steps_are_the_samples_own_and_no_candidate_s() -> None:
    seeds = NoiseSource(5, SHAPE).step_seeds(TASKS)
    assert (
        seeds[1]
        == int(hashlib.sha256(b'["between steps",5,"prompt 0",1]').hexdigest()[:16], 16) >> 1
    )
    assert len(set(seeds)) == len(TASKS)
    assert NoiseSource(5, SHAPE).step_seeds(TASKS[::-1]) == seeds[::-1]
    assert not set(seeds) & set(NoiseSource(6, SHAPE).step_seeds(TASKS))
    assert not {
        seed_of(5, task.prompt, task.sample, candidate) for task in TASKS for candidate in range(99)
    } & set(seeds)
    assert len(set(NoiseSource(5, SHAPE, "shared").step_seeds(TASKS))) == 2, (
        "the shared policy leaves the prompt out here too"
    )


def test_a_purpose_and_its_numbers_have_seeds_of_their_own() -> None:
    noises = NoiseSource(5, SHAPE)
    seeds = noises.seeds(TASKS, "orders", 3)
    assert seeds[1] == int(hashlib.sha256(b'["orders",5,"prompt 0",1,3]').hexdigest()[:16], 16) >> 1
    assert noises.seeds(TASKS[::-1], "orders", 3) == seeds[::-1]
    others = [noises.seeds(TASKS, "orders", 4), noises.seeds(TASKS, "order", 3)]
    others.append(noises.step_seeds(TASKS))
    assert all(set(seeds).isdisjoint(other) for other in others)
    assert len(set(NoiseSource(5, SHAPE, "shared").seeds(TASKS, "orders", 3))) == 2


@given(ANY_TEXT, ANY_TEXT)
def test_different_prompts_have_different_seeds(one: str, other: str) -> None:
    assert (seed_of(0, one, 0, 0) == seed_of(0, other, 0, 0)) == (one == other)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "\ud800",
        "\ud83d\ude00 in halves",
        "../../etc/passwd",
        "x" * 10_000,
        "a\x00b\nc",
        "é",
        "e\u0301",
    ],
)
def test_any_text_is_a_prompt(prompt: str) -> None:
    task = Task("id", prompt, 0)
    assert torch.equal(NoiseSource(0, SHAPE).draw(task), NoiseSource(0, SHAPE).draw(task))


def test_parts_cannot_run_into_each_other() -> None:
    assert (
        len(
            {
                seed_of(1, "2", 3),
                seed_of("1", "2", 3),
                seed_of("12", 3),
                seed_of(1, "2,3"),
                seed_of(12, 3),
            }
        )
        == 5
    )
