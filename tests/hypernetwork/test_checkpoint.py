from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from hnbench.errors import StoreError, UsageError
from hnbench.hypernetwork.adapter import Hypernetwork, LoraAdapter, LoraSettings
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.checkpoint import (
    PREFIX,
    adapter_sha256,
    describe_adapter,
    save_adapter,
    training_cost,
)
from hnbench.hypernetwork.loading import load_adapter
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork import official
from tests.hypernetwork.test_adapter import noise_for, shaken
from tests.hypernetwork.tiny import PROMPTS, SanaGenerator, UNetGenerator


def describe(generator: Any, kind: str = "hypernoise") -> dict[str, Any]:
    return {
        "kind": kind,
        "generator": {
            "name": generator.name,
            "fingerprint": generator.fingerprint,
            "noise_shape": list(generator.noise_shape),
        },
        "config": {"rewards": {"brightness": 2.0}, "rank": 4, "lora_alpha": 8},
        "training": {"seconds": 12.5, "steps": 3, "images": 12, "device": "cpu"},
        "evaluation": {"gain": 0.25, "gain_standard_error": None},
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """An adapter of the toy generator, away from zero."""
    generator, folder = ToyGenerator(), tmp_path / "adapter"
    save_adapter(
        folder,
        shaken(LoraAdapter(generator.backbone, LoraSettings(4, 8))),
        generator.backbone,
        describe(generator),
    )
    return folder


@pytest.mark.parametrize("make", [ToyGenerator, UNetGenerator])
def test_what_is_loaded_computes_what_was_saved(make: type[Any], tmp_path: Path) -> None:
    generator, other = make(), make()
    adapter = shaken(LoraAdapter(generator.backbone, LoraSettings(4, 8)))
    save_adapter(tmp_path / "adapter", adapter, generator.backbone, describe(generator))
    noise, conditioning = noise_for(generator), generator.encode(PROMPTS[:3])
    change = Hypernetwork(generator, adapter).displacement(noise, conditioning)
    loaded = Hypernetwork(
        other, load_adapter(tmp_path / "adapter", other, "hypernoise")
    ).displacement(noise, conditioning)
    assert change.count_nonzero()
    assert torch.equal(change, loaded)


def test_peft_alone_loads_the_folder(saved: Path) -> None:
    generator, other = ToyGenerator(), ToyGenerator()
    adapter = load_adapter(saved, generator, "hypernoise")
    noise, text = noise_for(generator), generator.encode(PROMPTS[:3]).tensors["text"]
    model = peft.PeftModel.from_pretrained(other.backbone, str(saved))
    with adapter.active():
        assert torch.equal(generator.backbone(noise, text), model(noise, text))


@pytest.mark.parametrize("make", [UNetGenerator, SanaGenerator])
@pytest.mark.parametrize("kind", ["finetune", "hypernoise"])
def test_peft_and_diffusers_compute_with_it_what_hnbench_does(
    make: type[Any], kind: str, tmp_path: Path
) -> None:
    ours, for_peft, for_diffusers = make(), make(), make()
    adapter = shaken(LoraAdapter(ours.backbone, LoraSettings(4, 8)))
    save_adapter(tmp_path / "adapter", adapter, ours.backbone, describe(ours, kind))
    noise, conditioning = noise_for(ours), ours.encode(PROMPTS[:3])
    base = ours.predict(noise, conditioning)
    with adapter.active():
        expected = ours.predict(noise, conditioning)
    assert (expected - base).abs().max() > 0.01
    for_peft.backbone = peft.PeftModel.from_pretrained(for_peft.backbone, str(tmp_path / "adapter"))
    torch.testing.assert_close(for_peft.predict(noise, conditioning), expected)
    for_diffusers.backbone.load_lora_adapter(
        str(tmp_path / "adapter"),
        prefix="base_model.model",
        weight_name="adapter_model.safetensors",
    )
    torch.testing.assert_close(for_diffusers.predict(noise, conditioning), expected)


def test_raw_names_and_the_official_codes_file_are_accepted(saved: Path, tmp_path: Path) -> None:
    raw = {
        name.removeprefix(PREFIX): weight
        for name, weight in load_file(saved / "adapter_model.safetensors").items()
    }
    reference = load_adapter(saved, ToyGenerator(), "hypernoise").state_dict()
    safe, official = tmp_path / "safe", tmp_path / "official"
    for folder in (safe, official):
        folder.mkdir()
        (folder / "adapter_config.json").write_text((saved / "adapter_config.json").read_text())
    save_file(raw, safe / "adapter_model.safetensors")
    torch.save(raw, official / "adapter_model.bin")
    for folder in (safe, official):
        loaded = load_adapter(folder, ToyGenerator(), "hypernoise").state_dict()
        assert all(torch.equal(loaded[name], reference[name]) for name in reference)
        assert training_cost(folder) == {}
        with pytest.raises(UsageError, match="counts as a noise hypernetwork and not as finetune"):
            load_adapter(folder, ToyGenerator(), "finetune")


@pytest.mark.parametrize("prefixed", [True, False])
@pytest.mark.parametrize(
    "targets",
    [[], official.SHORT],
    ids=["full names", "ends of names, as peft shortens them"],
)
def test_an_official_adapter_computes_what_the_peft_that_trained_it_did(
    tmp_path: Path, prefixed: bool, targets: list[str]
) -> None:
    generator = SanaGenerator()
    weights = official.random_weights(generator.backbone)
    folder = official.write(
        tmp_path / "a",
        weights,
        targets or list(official.adaptable(generator.backbone)),
        prefixed=prefixed,
    )
    noise, conditioning = noise_for(generator), generator.encode(PROMPTS[:3])
    expected = official.displacement(generator, weights, noise, conditioning)
    adapter = load_adapter(folder, generator, "hypernoise")
    found = Hypernetwork(generator, adapter).displacement(noise, conditioning)
    assert adapter.settings.dense
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_layer_without_its_weights_or_weights_without_their_layer_are_refused(
    tmp_path: Path,
) -> None:
    generator = SanaGenerator()
    weights, names = (
        official.random_weights(generator.backbone),
        list(official.adaptable(generator.backbone)),
    )
    fewer = {
        name: weight for name, weight in weights.items() if not name.startswith("patch_embed.proj.")
    }
    with pytest.raises(
        UsageError,
        match=(
            r"missing patch_embed.proj.lora_A.weight, patch_embed.proj.lora_B.weight; unexpected"
            r" none"
        ),
    ):
        load_adapter(
            official.write(tmp_path / "a", fewer, names, prefixed=False), generator, "hypernoise"
        )
    with pytest.raises(
        UsageError,
        match=(
            r"missing none; unexpected patch_embed.proj.lora_A.weight,"
            r" patch_embed.proj.lora_B.weight"
        ),
    ):
        load_adapter(
            official.write(tmp_path / "b", weights, names[1:], prefixed=False),
            generator,
            "hypernoise",
        )
    with pytest.raises(
        UsageError,
        match=r"the backbone of 'unet' has no layer 'caption_projection.linear_1' \(31 such\)",
    ):
        load_adapter(
            official.write(tmp_path / "c", weights, names, prefixed=False),
            UNetGenerator(),
            "hypernoise",
        )
    with pytest.raises(UsageError, match=r"has none of the layers that adapter_config\.json names"):
        load_adapter(
            official.write(tmp_path / "d", fewer, ["elsewhere"], prefixed=False),
            generator,
            "hypernoise",
        )
    with pytest.raises(UsageError, match="holds no named LoRA weights"):
        load_adapter(
            official.write(tmp_path / "e", {}, names, prefixed=False), generator, "hypernoise"
        )
    twice = official.write(tmp_path / "f", weights, names, prefixed=True)
    torch.save(
        weights | {PREFIX + name: weight for name, weight in weights.items()},
        twice / "adapter_model.bin",
    )
    with pytest.raises(UsageError, match="or one of them twice"):
        load_adapter(twice, generator, "hypernoise")


def test_a_dense_adapter_of_ours_computes_after_loading_what_it_did_before(tmp_path: Path) -> None:
    generator, other = SanaGenerator(), SanaGenerator()
    adapter = shaken(LoraAdapter(generator.backbone, LoraSettings(6, 12, dense=True)))
    assert set(adapter.layers) == set(official.adaptable(generator.backbone))
    noise, conditioning = noise_for(generator), generator.encode(PROMPTS[:3])
    before = Hypernetwork(generator, adapter).displacement(noise, conditioning)
    save_adapter(tmp_path / "a", adapter, generator.backbone, describe(generator))
    assert torch.equal(
        before,
        Hypernetwork(other, load_adapter(tmp_path / "a", other, "hypernoise")).displacement(
            noise, conditioning
        ),
    )
    card = (tmp_path / "a/README.md").read_text()
    assert "newer versions of peft and diffusers refuse it" in card
    assert "load_lora_adapter" not in card


@pytest.mark.parametrize("kind", ["finetune", "hypernoise"])
def test_the_card_says_how_to_load_what_peft_can_load(tmp_path: Path, kind: str) -> None:
    generator = SanaGenerator()
    adapter = LoraAdapter(generator.backbone, LoraSettings(6, 12, "(?!.*conv_depth).*", dense=True))
    save_adapter(tmp_path / "a", adapter, generator.backbone, describe(generator, kind))
    card = (tmp_path / "a/README.md").read_text()
    assert (
        'load_lora_adapter(THIS, prefix="base_model.model",'
        ' weight_name="adapter_model.safetensors")' in card
    )
    assert ("low-rank delta only" in card) == (kind == "hypernoise")
    assert (
        json.loads((tmp_path / "a/adapter_config.json").read_text())["base_model_name_or_path"]
        == "sana"
    )


class Trap:
    """What a pickle could smuggle in."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_nothing_is_unpickled(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "adapter_config.json").write_text((saved / "adapter_config.json").read_text())
    torch.save({"conv_in.lora_A.weight": Trap()}, tmp_path / "adapter_model.bin")
    with pytest.raises(UsageError, match="nothing of it was run") as caught:
        load_adapter(tmp_path, ToyGenerator(), "hypernoise")
    assert "weights_only" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_wrong_generator_or_kind_is_refused(saved: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"was trained for the generator 'toy' with fingerprint .* train an adapter for it",
    ):
        load_adapter(saved, ToyGenerator(seed=1), "hypernoise")
    with pytest.raises(
        UsageError,
        match=(
            r"was trained for the generator 'toy' with noise \[2, 4, 4\]; 'unet' has noise \[2,"
            r" 8, 8\]"
        ),
    ):
        load_adapter(saved, UNetGenerator(), "hypernoise")
    with pytest.raises(
        UsageError, match="is an adapter of kind 'hypernoise'; 'finetune' is needed"
    ):
        load_adapter(saved, ToyGenerator(), "finetune")


def test_loading_is_strict(saved: Path) -> None:
    path = saved / "adapter_model.safetensors"
    weights = load_file(path)
    name = PREFIX + "conv_out.lora_B.weight"
    save_file({key: weight for key, weight in weights.items() if key != name}, path)
    with pytest.raises(UsageError, match=r"missing conv_out.lora_B.weight"):
        load_adapter(saved, ToyGenerator(), "hypernoise")
    save_file({**weights, PREFIX + "conv_out.lora_C.weight": torch.zeros(1)}, path)
    with pytest.raises(UsageError, match=r"unexpected conv_out.lora_C.weight"):
        load_adapter(saved, ToyGenerator(), "hypernoise")
    save_file({**weights, PREFIX + "proj_out.lora_A.weight": torch.zeros(1)}, path)
    with pytest.raises(UsageError, match="has no layer 'proj_out'"):
        load_adapter(saved, ToyGenerator(), "hypernoise")
    path.write_bytes(b"torn")
    with pytest.raises(UsageError, match="cannot be read as weights"):
        load_adapter(saved, ToyGenerator(), "hypernoise")


def test_options_of_peft_that_change_the_sum_are_refused(saved: Path) -> None:
    config = json.loads((saved / "adapter_config.json").read_text())
    (saved / "adapter_config.json").write_text(json.dumps(config | {"use_rslora": True}))
    with pytest.raises(UsageError, match="uses use_rslora"):
        load_adapter(saved, ToyGenerator(), "hypernoise")
    (saved / "adapter_config.json").unlink()
    with pytest.raises(
        UsageError, match="is missing; an adapter needs peft's configuration with r"
    ):
        load_adapter(saved, ToyGenerator(), "hypernoise")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": "all"}, "uses bias"),
        ({"alpha_pattern": {"conv": 3}}, "uses alpha_pattern"),
        ({"an_option_to_come": True}, "uses an_option_to_come"),
        ({"peft_type": "LOKR"}, "of type LOKR; only LORA"),
        ({"r": "four"}, r"Expected `int`, got `str` - at `\$\.r`"),
        ({"layers_pattern": "blocks"}, "cannot be used"),
    ],
)
def test_the_configuration_is_read_strictly(
    saved: Path, change: dict[str, Any], message: str
) -> None:
    path = saved / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match=message):
        load_adapter(saved, ToyGenerator(), "hypernoise")


@pytest.mark.parametrize(
    "change",
    [
        {"r": 0},
        {"r": True},
        {"r": 10**9},
        {"r": 5},
        {"lora_alpha": float("inf")},
        {"lora_alpha": float("nan")},
        {"bias": "lora_only"},
        {"fan_in_fan_out": True},
        {"use_dora": True},
        {"inference_mode": "yes"},
        {"init_lora_weights": "pissa_niter_16"},
        {"init_lora_weights": 1},
        {"init_lora_weights": "a way to come"},
        {"target_modules": "((("},
        {"rank_pattern": {"conv_in": 2}},
    ],
)
def test_values_that_are_not_known_are_refused_and_take_no_memory(
    saved: Path, change: dict[str, Any]
) -> None:
    path = saved / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    (name,) = change
    with pytest.raises(
        UsageError,
        match=(
            "says rank"
            if change.get("r") in (5, 10**9)
            else f"{name}|unterminated subpattern|JSON is malformed"
        ),
    ):
        load_adapter(saved, ToyGenerator(), "hypernoise")


def test_a_configuration_of_any_depth_is_one_line(saved: Path) -> None:
    (saved / "adapter_config.json").write_text('{"r": ' + "[" * 100_000)
    with pytest.raises(UsageError, match=r"adapter_config\.json cannot be read"):
        load_adapter(saved, ToyGenerator(), "hypernoise")


def trained_by_peft(init: Any, folder: Path) -> tuple[Any, torch.Tensor]:
    """A SANA whose LoRA was begun in this way, moved and saved by peft, and what peft's own
    reloading of it computes.
    """
    targets = ["to_q", "to_k", "proj_out"]
    generator = SanaGenerator()
    model = peft.get_peft_model(
        generator.backbone,
        peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=init),
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.add_(
                    0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
                )
    model.save_pretrained(str(folder))
    fresh = SanaGenerator()
    noise, conditioning = noise_for(fresh), fresh.encode(PROMPTS[:3])
    fresh.backbone = peft.PeftModel.from_pretrained(fresh.backbone, str(folder))
    with torch.no_grad():
        return generator, fresh.predict(noise, conditioning)


NEW = pytest.mark.skipif(
    "mica" not in str(peft.LoraConfig.__annotations__["init_lora_weights"]),
    reason="peft before 0.20 has no mica",
)


@pytest.mark.parametrize(
    "init", [True, False, "gaussian", "orthogonal", pytest.param("mica", marks=NEW)]
)
def test_an_adapter_that_was_begun_in_an_allowed_way_computes_what_peft_does(
    init: Any, tmp_path: Path
) -> None:
    _, expected = trained_by_peft(init, tmp_path)
    generator = SanaGenerator()
    adapter = load_adapter(tmp_path, generator, "hypernoise")
    with torch.no_grad(), adapter.active():
        found = generator.predict(noise_for(generator), generator.encode(PROMPTS[:3]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_4", "olora"])
def test_an_adapter_that_was_begun_by_changing_the_base_is_refused(
    init: str, tmp_path: Path
) -> None:
    trained_by_peft(init, tmp_path)
    with pytest.raises(
        UsageError,
        match=f"uses init_lora_weights = '{init}', which is not supported; train with plain LoRA",
    ):
        load_adapter(tmp_path, SanaGenerator(), "hypernoise")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.nan, "has values that are not finite; the training diverged"),
        (torch.inf, "has values that are not finite"),
        (None, "is of type int8, and not of floating point"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(
    value: float | None, message: str, saved: Path
) -> None:
    path = saved / "adapter_model.safetensors"
    weights = load_file(path)
    name = next(iter(weights))
    weights[name] = (
        weights[name].to(torch.int8) if value is None else torch.full_like(weights[name], value)
    )
    save_file(weights, path)
    with pytest.raises(UsageError, match=message):
        load_adapter(saved, ToyGenerator(), "hypernoise")


def test_the_card_gives_no_call_that_the_backbone_does_not_have(tmp_path: Path) -> None:
    generator = (
        ToyGenerator()
    )  # as PixArt's transformer, its backbone has no way of diffusers' own to load an adapter
    save_adapter(
        tmp_path / "a",
        LoraAdapter(generator.backbone, LoraSettings(4, 8)),
        generator.backbone,
        describe(generator),
    )
    card = (tmp_path / "a/README.md").read_text()
    assert "load_lora_adapter" not in card
    assert (
        "`peft.PeftModel.from_pretrained(backbone, THIS)` loads it,\nwhere `backbone` is the"
        " pipeline's" in card
    )


def test_a_folder_that_is_no_adapter_is_named(tmp_path: Path, saved: Path) -> None:
    for call in (adapter_sha256, lambda folder: load_adapter(folder, ToyGenerator(), "hypernoise")):
        with pytest.raises(UsageError, match="holds no adapter"):
            call(tmp_path)
    with pytest.raises(UsageError, match="is not a trained adapter"):
        describe_adapter(tmp_path)
    (saved / "hnbench.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        describe_adapter(saved)
    (saved / "hnbench.json").write_text('{"schema": 4}')
    with pytest.raises(StoreError, match=r"written by a newer hnbench .* update hnbench"):
        describe_adapter(saved)


def test_an_adapter_is_attached_once_and_again_when_its_weights_change(saved: Path) -> None:
    generator = ToyGenerator()
    first = attach(generator, saved, "hypernoise")
    assert attach(generator, saved, "hypernoise") is first
    assert attach(ToyGenerator(), saved, "hypernoise") is not first
    before = adapter_sha256(saved)
    path = saved / "adapter_model.safetensors"
    save_file(
        {name: weight * 2 for name, weight in load_file(path).items()},
        path,
        metadata={"changed": "yes"},
    )
    assert attach(generator, saved, "hypernoise") is not first
    assert adapter_sha256(saved) != before


def test_the_same_weights_make_the_same_file(saved: Path, tmp_path: Path) -> None:
    generator = ToyGenerator()
    adapter = load_adapter(saved, generator, "hypernoise")
    for name in "abcdefgh":
        save_adapter(tmp_path / name, adapter, generator.backbone, describe(generator))
    assert {adapter_sha256(tmp_path / name) for name in "abcdefgh"} == {adapter_sha256(saved)}


def test_saving_replaces_the_folder_and_leaves_nothing_else(saved: Path) -> None:
    (saved / "stale").touch()
    generator = ToyGenerator()
    save_adapter(
        saved,
        LoraAdapter(generator.backbone, LoraSettings(4, 8)),
        generator.backbone,
        describe(generator),
    )
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "hnbench.json",
    ]
    assert [path.name for path in saved.parent.iterdir()] == ["adapter"]
    card = (saved / "README.md").read_text()
    assert "brightness x 2" in card
    assert "| 0.25 (unknown) |" in card


def test_cost_and_hash_are_read_without_torch(saved: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from hnbench.hypernetwork.checkpoint import adapter_sha256, training_cost
saved = Path({str(saved)!r})
print(training_cost(saved)["seconds"], len(adapter_sha256(saved)), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["12.5", "64", "False"]
