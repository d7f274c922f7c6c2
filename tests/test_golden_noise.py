"""One noise, written out: its seed by hashlib alone, its numbers and its bytes as literals."""

from __future__ import annotations

import hashlib

import pytest
import torch

from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

TASK = Task("single_object/0000", "a photo of a bench", 3)
CANDIDATE = 2
SEED = 3225377854037961430
"""The first 63 bits of the SHA-256 of `[7,"a photo of a bench",3,2]`."""
SHORT = (3, 5)
"""Fewer than 16 numbers: torch draws them one by one, to the same bits on every processor."""
LONG = (4, 8, 8)


def noise_of(shape: tuple[int, ...], seed: int = SEED) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


def sha256_of(noise: torch.Tensor) -> str:
    return hashlib.sha256(noise.numpy().tobytes()).hexdigest()


def test_the_seed_is_of_base_seed_prompt_sample_and_candidate_in_this_order() -> None:
    text = b'[7,"a photo of a bench",3,2]'
    assert int.from_bytes(hashlib.sha256(text).digest()[:8], "big") // 2 == SEED
    drawn = NoiseSource(base_seed=7, shape=LONG).draw(TASK, candidate=CANDIDATE)
    assert torch.equal(drawn, noise_of(LONG))
    # sample and candidate have different parts: 3 and 2 are not 2 and 3
    swapped = Task(TASK.prompt_id, TASK.prompt, CANDIDATE)
    assert not torch.equal(NoiseSource(7, LONG).draw(swapped, TASK.sample), drawn)


def test_the_bytes_of_a_short_noise() -> None:
    drawn = NoiseSource(base_seed=7, shape=SHORT).draw(TASK, candidate=CANDIDATE)
    assert drawn.flatten()[:4].tolist() == [
        0.8417329788208008,
        -0.24929092824459076,
        0.059031177312135696,
        0.5277852416038513,
    ]
    assert sha256_of(drawn) == "1b31b5ced9ed1aa95e6015f623fb64e9b8b8c4e2cf21a9355f071aeed7990bb0"


def test_the_numbers_of_a_long_noise() -> None:
    drawn = NoiseSource(base_seed=7, shape=LONG).draw(TASK, candidate=CANDIDATE)
    assert drawn.flatten()[:4].tolist() == pytest.approx(
        [0.39153021574020386, -1.5599684715270996, 1.011705756187439, -0.23223158717155457],
        rel=1e-6,
    )
    assert drawn.shape == LONG


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="torch draws 16 numbers and more with the processor's vector instructions",
)
def test_the_bytes_of_a_long_noise() -> None:
    drawn = NoiseSource(base_seed=7, shape=LONG).draw(TASK, candidate=CANDIDATE)
    assert sha256_of(drawn) == "25bde5472b2e73b15b44d0a6511ba127cbaeb4ca38df18360c1c164c07c7b5da"


def test_the_shared_policy_has_an_empty_prompt_in_the_same_place() -> None:
    seed = int.from_bytes(hashlib.sha256(b'[7,"",3,2]').digest()[:8], "big") // 2
    drawn = NoiseSource(base_seed=7, shape=LONG, policy="shared").draw(TASK, candidate=CANDIDATE)
    assert torch.equal(drawn, noise_of(LONG, seed))


def test_a_batch_has_the_samples_and_the_candidate_in_their_places() -> None:
    tasks = [TASK, Task("colors/0001", "a photo of a red star", 1)]
    other = (
        int.from_bytes(hashlib.sha256(b'[7,"a photo of a red star",1,2]').digest()[:8], "big") // 2
    )
    drawn = NoiseSource(base_seed=7, shape=LONG).batch(tasks, candidate=CANDIDATE)
    assert torch.equal(drawn, torch.stack([noise_of(LONG), noise_of(LONG, other)]))
