"""The rebuild command: stages in order, their outcome noted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

from hnbench.shapes_training import __main__ as rebuild
from hnbench.shapes_training import autoencoder, flow
from hnbench.shapes_training.denoiser import Denoiser


@pytest.mark.parametrize(
    ("stage", "expected"), [("all", ["first", "second"]), ("second", ["second"])]
)
def test_stages_run_in_order_and_are_noted(
    stage: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def make(name: str) -> Callable[[Path, str], dict[str, float]]:
        def run(out: Path, device: str) -> dict[str, float]:
            ran.append(name)
            return {"score": float(out == tmp_path / "models" and device == "cpu")}

        return run

    monkeypatch.setattr(rebuild, "STAGES", {name: make(name) for name in ("first", "second")})
    monkeypatch.setattr("sys.argv", ["training", stage, "--out", str(tmp_path / "models")])
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    rebuild.main()
    assert ran == expected
    noted = json.loads((tmp_path / "models" / "scores.json").read_text())
    assert {name: each["scores"] for name, each in noted.items()} == {
        name: {"score": 1.0} for name in expected
    }


def test_the_generator_stage_saves_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rebuild,
        "judge_scores",
        lambda generate, **_: {"overall": float(generate(["a photo of a star"] * 2).shape[0])},
    )
    autoencoder.build().save_pretrained(tmp_path / "autoencoder")
    save_file(Denoiser().state_dict(), tmp_path / "teacher.safetensors")
    asked: list[int] = []
    monkeypatch.setattr(rebuild, "follow", lambda _teacher, count, seed: asked.append(count))
    monkeypatch.setattr(rebuild, "distil", lambda _model, _pairs, steps, seed: asked.append(steps))
    assert rebuild.train_generator(tmp_path, "cpu") == {"overall": 2.0}
    assert asked == [26_000, 3500]
    assert (tmp_path / "generator" / "model_index.json").is_file()


def test_the_teacher_sees_the_very_images_that_the_stage_before_it_drew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = autoencoder.build()
    encoder.save_pretrained(tmp_path / "autoencoder")
    drawn: list[int] = []
    seen: list[flow.Encoded] = []

    def draw_few(encoder: AutoencoderTiny, count: int, seed: int) -> flow.Encoded:
        drawn.append(count)
        return flow.encode_data(encoder, 100, seed)

    monkeypatch.setattr(rebuild, "encode_data", draw_few)
    monkeypatch.setattr(rebuild, "train_teacher", lambda _model, data, **_: seen.append(data))
    for name in ("train_text", "train_coupled", "judge_scores"):
        monkeypatch.setattr(rebuild, name, lambda *_, **_named: {})
    rebuild.pretrain(tmp_path, "cpu")
    rebuild.train_flow(tmp_path, "cpu")
    assert drawn == [50_000]
    expected = flow.encode_data(encoder.eval(), 100, seed=5)
    for data in seen:
        assert data.latents.dtype == torch.float16
        assert torch.equal(data.latents, expected.latents)
        assert data.texts == expected.texts
    assert len(seen) == 2
