from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hnbench.metering import Meter, MeteredGenerator, MeteredReward, Usage, measured
from hnbench.testing.toys import BrightnessReward, ToyGenerator

PROMPTS = ["a", "b", "c"]


def models(steps: int | None = None) -> tuple[Meter, MeteredGenerator, MeteredReward]:
    meter = Meter()
    return (
        meter,
        MeteredGenerator(ToyGenerator(), meter, steps),
        MeteredReward(BrightnessReward(), meter),
    )


def counts(meter: Meter) -> tuple[float, float, float, float]:
    return (
        meter.generator_forward,
        meter.generator_backward,
        meter.reward_forward,
        meter.reward_backward,
    )


def test_one_pass_each_way_of_a_batch_of_three() -> None:
    meter, generator, reward = models()
    noise = torch.randn(3, 2, 4, 4, requires_grad=True)
    torch.autograd.backward(
        reward.score(generator.generate(noise, generator.encode(PROMPTS)), PROMPTS).sum()
    )
    assert counts(meter) == (3, 3, 3, 3)
    assert noise.grad is not None


def test_without_gradient_there_is_no_backward_pass() -> None:
    meter, generator, reward = models()
    with torch.no_grad():
        reward.score(
            generator.generate(torch.randn(3, 2, 4, 4), generator.encode(PROMPTS)), PROMPTS
        )
    images = generator.generate(
        torch.randn(3, 2, 4, 4, requires_grad=True), generator.encode(PROMPTS)
    )
    reward.score(images, PROMPTS)  # a graph, and nobody goes back through it
    assert counts(meter) == (6, 0, 6, 0)


def test_only_the_part_that_the_gradient_reaches_is_counted() -> None:
    meter, generator, reward = models()
    images = generator.generate(
        torch.randn(3, 2, 4, 4, requires_grad=True), generator.encode(PROMPTS)
    )
    torch.autograd.grad(reward.score(images, PROMPTS).sum(), images)  # stops at the images
    assert counts(meter) == (3, 0, 3, 3)


def test_going_back_twice_counts_twice() -> None:
    meter, generator, reward = models()
    noise = torch.randn(3, 2, 4, 4, requires_grad=True)
    score = reward.score(generator.generate(noise, generator.encode(PROMPTS)), PROMPTS).sum()
    torch.autograd.backward(score, retain_graph=True)
    torch.autograd.backward(score)
    assert counts(meter) == (3, 6, 3, 6)


def test_steps_and_predictions_are_passes() -> None:
    meter, generator, _ = models()
    noise = torch.randn(2, 2, 4, 4, requires_grad=True)
    conditioning = generator.encode(PROMPTS[:2])
    torch.autograd.backward(
        generator.generate(
            noise + generator.predict(noise, conditioning), conditioning, steps=4
        ).sum()
    )
    assert counts(meter) == (2 + 2 * 4, 2 + 2 * 4, 0, 0)


def test_a_run_decides_the_steps() -> None:
    meter, generator, _ = models(steps=3)
    noise, plain = torch.randn(2, 2, 4, 4), ToyGenerator()
    conditioning = generator.encode(PROMPTS[:2])
    assert torch.equal(
        generator.generate(noise, conditioning), plain.generate(noise, conditioning, 3)
    )
    assert counts(meter) == (6, 0, 0, 0)


def test_the_wrappers_are_the_models_they_wrap() -> None:
    meter, generator, reward = models()
    plain, noise = ToyGenerator(), torch.randn(3, 2, 4, 4)
    generator = MeteredGenerator(plain, meter)
    conditioning = plain.encode(PROMPTS)
    assert generator.backbone is plain.backbone
    for name in ("name", "noise_shape", "last_layer", "device", "dtype", "fingerprint"):
        assert getattr(generator, name) == getattr(plain, name)
    assert torch.equal(generator.encode(PROMPTS).tensors["text"], conditioning.tensors["text"])
    assert torch.equal(
        generator.generate(noise, conditioning, 2), plain.generate(noise, conditioning, 2)
    )
    assert torch.equal(generator.predict(noise, conditioning), plain.predict(noise, conditioning))
    images = torch.rand(3, 3, 8, 8)
    assert torch.equal(reward.score(images, PROMPTS), BrightnessReward().score(images, PROMPTS))
    assert (reward.name, reward.fingerprint) == ("brightness", BrightnessReward().fingerprint)


def test_gradients_are_those_of_the_wrapped_models() -> None:
    _, generator, reward = models()
    noise = torch.randn(3, 2, 4, 4, requires_grad=True)
    found = [
        torch.autograd.grad(
            scorer.score(maker.generate(noise, maker.encode(PROMPTS)), PROMPTS).sum(), noise
        )[0]
        for maker, scorer in ((generator, reward), (ToyGenerator(), BrightnessReward()))
    ]
    assert torch.equal(*found)


def test_time_and_memory() -> None:
    usage = Usage()
    with measured(torch.device("cpu"), usage):
        time.sleep(0.02)
    assert 0.02 <= usage.seconds < 1
    assert usage.peak_memory_bytes is None


def test_memory_is_the_peak_of_the_block_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("synchronize", "reset_peak_memory_stats", "max_memory_allocated"):

        def noted(_device: torch.device, name: str = name) -> int:
            calls.append(name)
            return 7

        monkeypatch.setattr(torch.cuda, name, noted)
    usage = Usage()
    with measured(torch.device("cuda"), usage):
        calls.append("block")
    assert usage.peak_memory_bytes == 7
    before, after = ["synchronize", "reset_peak_memory_stats"], "synchronize"
    assert calls == [*before, "block", after, "max_memory_allocated"]


def test_what_raises_is_measured_too() -> None:
    usage = Usage()
    with pytest.raises(RuntimeError), measured(torch.device("cpu"), usage):
        raise RuntimeError
    assert usage.seconds > 0


def test_a_run_needs_no_module_of_posix_alone(tmp_path: Path) -> None:
    """Windows has neither. (psutil, which others import, needs one of them on other systems.)"""
    code = (
        "import psutil, sys; sys.modules.update(dict.fromkeys(('resource', 'fcntl')));from"
        " hnbench.cli.app import main; main()"
    )
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "HF_HUB_OFFLINE": "1"}
    command = [
        "run",
        "--suite",
        "geneval-shapes",
        "--limit",
        "1",
        "--method",
        "random",
        "--out",
        "run",
        "--device",
        "cpu",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    (journal,) = (tmp_path / "run").glob("journal-*.jsonl")
    assert journal.read_text()
