"""Fine-tuned weights of other programs, by their names on the Hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hnbench.api.finetuned import finetuned_sources
from hnbench.errors import UsageError
from hnbench.hypernetwork.foreign import recognise
from tests.hypernetwork.rivals import save_by_diffusers, save_peft
from tests.standin.hub import StandInHub
from tests.standin.repositories import add, half_variant
from tests.tiny import FAMILIES, stable_diffusion, unet


def resolved(hub: StandInHub) -> set[str]:
    return {
        line.partition("/resolve/")[2].partition("/")[2]
        for line in hub.asked
        if line.startswith("GET") and "/resolve/" in line
    }


def _pipeline(folder: Path) -> None:
    FAMILIES["stable-diffusion"].save(folder)
    half_variant(folder)


def _beside(folder: Path) -> None:
    _pipeline(folder)
    save_by_diffusers(folder, stable_diffusion(), "unet")


BUILD = {
    "peft": lambda folder: save_peft(folder, unet()),
    "diffusers": lambda folder: save_by_diffusers(folder, stable_diffusion(), "unet"),
    "network": lambda folder: unet().save_pretrained(folder / "unet"),
    "pipeline": _pipeline,
    "beside": _beside,
    "nothing": lambda folder: None,
}
FORMS = {
    "peft": ("peft LoRA", {"adapter_config.json", "adapter_model.safetensors"}),
    "diffusers": ("diffusers LoRA", {"pytorch_lora_weights.safetensors"}),
    "network": ("network", {"unet/config.json", "unet/diffusion_pytorch_model.safetensors"}),
    "beside": ("diffusers LoRA", {"pytorch_lora_weights.safetensors"}),
}


@pytest.mark.parametrize("name", FORMS)
def test_only_the_files_of_the_checkpoint_are_fetched(
    name: str, hub: StandInHub, standin_root: Path
) -> None:
    add(standin_root, f"rivals/{name}", BUILD[name], "unet.onnx", "weights.ckpt")
    (found,) = finetuned_sources(f"a rival=rivals/{name}")
    assert found.label == "a rival"
    form, files = FORMS[name]
    assert recognise(found.place).form == form
    small = {"README.md", "unet/config.json"}
    assert files <= resolved(hub) <= files | small


def test_a_whole_pipeline_is_known_by_its_commit(hub: StandInHub, standin_root: Path) -> None:
    add(standin_root, "rivals/pipeline", BUILD["pipeline"], "model.ckpt")
    (found,) = finetuned_sources("rivals/pipeline")
    checkpoint = recognise(found.place)
    assert checkpoint.form == "pipeline"
    fetched = resolved(hub)
    assert {"unet/diffusion_pytorch_model.safetensors", "vae/config.json"} < fetched
    assert not any(".fp16" in one or one.endswith(".ckpt") for one in fetched)
    before = checkpoint.fingerprint
    half = found.place / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    shutil.copy(found.place / "unet" / "diffusion_pytorch_model.safetensors", half)
    assert recognise(found.place).fingerprint == before, "another type of the same commit"


def test_a_repository_without_weights_is_named(hub: StandInHub, standin_root: Path) -> None:
    add(standin_root, "rivals/nothing", BUILD["nothing"])
    with pytest.raises(UsageError, match=r"rivals/nothing has no adapter_model\.safetensors or "):
        finetuned_sources("rivals/nothing")
    assert hub.asked
