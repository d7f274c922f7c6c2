"""What a checkpoint is follows from its content."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hnbench.errors import UsageError
from hnbench.hypernetwork.checkpoint import adapter_sha256
from hnbench.hypernetwork.foreign import recognise, tensor_names
from tests.hypernetwork.rivals import save_by_diffusers, save_peft
from tests.methods.adapters import adapter_folder
from tests.tiny import FAMILIES, stable_diffusion, unet


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One checkpoint of each form, by its name."""
    root = tmp_path_factory.mktemp("checkpoints")
    adapter_folder(root / "own", "finetune")
    save_peft(root / "peft", unet())
    save_by_diffusers(root / "diffusers", stable_diffusion(), "unet")
    unet().save_pretrained(root / "network")
    unet().save_pretrained(root / "repository" / "unet")
    FAMILIES["stable-diffusion"].save(root / "pipeline")
    return root


def test_every_form_is_recognised(saved: Path) -> None:
    lora = saved / "diffusers" / "pytorch_lora_weights.safetensors"
    weights = saved / "peft" / "adapter_model.safetensors"
    for given, form, place in (
        (saved / "own", "own", saved / "own"),
        (saved / "own" / "adapter_model.safetensors", "own", saved / "own"),
        (saved / "peft", "peft LoRA", saved / "peft"),
        (weights, "peft LoRA", saved / "peft"),
        (saved / "diffusers", "diffusers LoRA", lora),
        (lora, "diffusers LoRA", lora),
        (saved / "network", "network", saved / "network"),
        (saved / "repository", "network", saved / "repository" / "unet"),
        (saved / "pipeline", "pipeline", saved / "pipeline"),
    ):
        found = recognise(given)
        assert (found.form, found.place) == (form, place)
        assert len(found.fingerprint) == 64
    assert recognise(saved / "own").fingerprint == adapter_sha256(saved / "own")
    assert recognise(lora).fingerprint == hashlib.sha256(lora.read_bytes()).hexdigest()


def test_the_name_of_a_file_does_not_matter(saved: Path, tmp_path: Path) -> None:
    lora = saved / "diffusers" / "pytorch_lora_weights.safetensors"
    renamed = tmp_path / "best of all (3).safetensors"
    shutil.copy(lora, renamed)
    assert recognise(tmp_path).place == renamed
    assert recognise(renamed).fingerprint == recognise(lora).fingerprint
    shutil.copy(saved / "network" / "diffusion_pytorch_model.safetensors", lora.parent / "x")
    disguised = tmp_path / "disguised"
    disguised.mkdir()
    shutil.move(lora.parent / "x", disguised / "pytorch_lora_weights.safetensors")
    with pytest.raises(UsageError, match="holds no fine-tuned checkpoint that is known"):
        recognise(disguised)
    with pytest.raises(UsageError, match=r"holds no LoRA \(its first tensor is conv_in\.bias\)"):
        recognise(disguised / "pytorch_lora_weights.safetensors")


def test_every_file_of_a_pipeline_counts(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    shutil.copytree(saved / "pipeline", folder)
    assert recognise(folder).fingerprint == recognise(saved / "pipeline").fingerprint
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    (folder / "scheduler" / "scheduler_config.json").write_text(
        json.dumps(config | {"beta_end": 0.02})
    )
    assert recognise(folder).fingerprint != recognise(saved / "pipeline").fingerprint


def _empty(folder: Path, saved: Path) -> None:
    (folder / "notes.txt").write_text("nothing")


def _pickled(folder: Path, saved: Path) -> None:
    shutil.copy(saved / "peft" / "adapter_config.json", folder)
    torch.save({"x.lora_A.weight": torch.zeros(2, 2)}, folder / "adapter_model.bin")


def _two(folder: Path, saved: Path) -> None:
    shutil.copytree(saved / "peft", folder, dirs_exist_ok=True)
    shutil.copy(saved / "network" / "config.json", folder)
    shutil.copy(saved / "network" / "diffusion_pytorch_model.safetensors", folder)


def _two_loras(folder: Path, saved: Path) -> None:
    for name in "ab":
        save_file({"unet.x.lora_A.weight": torch.zeros(2, 2)}, folder / f"{name}.safetensors")


def _damaged(folder: Path, saved: Path) -> None:
    (folder / "lora.safetensors").write_bytes(b"\xff" * 400)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_empty, r"holds no fine-tuned checkpoint that is known here \(there is notes\.txt\)"),
        (_pickled, r"adapter_config\.json and no adapter_model\.safetensors .*save the adapter as"),
        (_two, r"holds a network .* and a peft LoRA"),
        (_two_loras, r"holds a diffusers LoRA \(a\.safetensors\) and a diffusers LoRA \(b\."),
        (_damaged, r"cannot be read as safetensors"),
    ],
)
def test_anything_else_is_named(
    write: Callable[[Path, Path], None], message: str, saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    write(folder, saved)
    with pytest.raises(UsageError, match=message):
        recognise(folder)


def test_a_file_that_can_hold_programs_is_not_read(tmp_path: Path) -> None:
    torch.save({"lora_A": torch.zeros(1)}, tmp_path / "lora.bin")
    with pytest.raises(UsageError, match=r"is no \.safetensors file; other files can hold"):
        recognise(tmp_path / "lora.bin")
    with pytest.raises(UsageError, match="there is no folder or file"):
        recognise(tmp_path / "absent")


def test_a_header_is_read_without_the_weights(tmp_path: Path) -> None:
    save_file({"b": torch.zeros(3), "a": torch.zeros(1)}, tmp_path / "w.safetensors", {"x": "y"})
    assert tensor_names(tmp_path / "w.safetensors") == ("a", "b")
