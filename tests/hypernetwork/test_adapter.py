from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import (
    FinetunedGenerator,
    Hypernetwork,
    LoraAdapter,
    LoraSettings,
    find_targets,
)
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork.tiny import PROMPTS, UNetGenerator

SETTINGS = LoraSettings(rank=4, alpha=8)
GENERATORS = [ToyGenerator, UNetGenerator]


def noise_for(generator: Generator, count: int = 3) -> Tensor:
    return torch.randn(
        count,
        *generator.noise_shape,
        generator=torch.Generator().manual_seed(3),
        dtype=torch.float32,
    )


def shaken(adapter: LoraAdapter) -> LoraAdapter:
    """Away from the zero initialisation."""
    draw = torch.Generator().manual_seed(7)
    for parameter in adapter.named_parameters().values():
        parameter.data = parameter.data + 0.1 * torch.randn(parameter.shape, generator=draw).to(
            parameter
        )
    return adapter


@pytest.mark.parametrize("make", GENERATORS)
def test_the_change_is_exactly_zero_at_first_and_only_the_last_layers_b_has_a_gradient(
    make: type[Any],
) -> None:
    generator: Generator = make()
    adapter = LoraAdapter(generator.backbone, SETTINGS)
    network, noise, conditioning = (
        Hypernetwork(generator, adapter),
        noise_for(generator),
        generator.encode(PROMPTS[:3]),
    )
    change = network.displacement(noise, conditioning)
    assert change.shape == noise.shape
    assert torch.count_nonzero(change) == 0
    image = generator.generate(noise + change, conditioning)
    assert torch.equal(image, generator.generate(noise, conditioning))
    torch.autograd.backward(image.square().sum())
    moved = {
        name
        for name, weight in adapter.named_parameters().items()
        if weight.grad is not None and weight.grad.count_nonzero()
    }
    assert moved == {"conv_out.lora_B.weight"}


@pytest.mark.parametrize("make", GENERATORS)
def test_outside_the_base_is_the_base(make: type[Any]) -> None:
    plain, generator = make(), make()
    adapter = shaken(LoraAdapter(generator.backbone, SETTINGS))
    noise, conditioning = noise_for(generator), generator.encode(PROMPTS[:3])
    before = plain.predict(noise, conditioning)
    Hypernetwork(generator, adapter).displacement(noise, conditioning)
    assert not torch.equal(
        FinetunedGenerator(generator, adapter).generate(noise, conditioning),
        generator.generate(noise, conditioning),
    )
    assert torch.equal(generator.predict(noise, conditioning), before)
    assert generator.backbone.state_dict().keys() == plain.backbone.state_dict().keys()
    assert [type(module) for module in generator.backbone.modules()] == [
        type(module) for module in plain.backbone.modules()
    ]
    assert not any(parameter.requires_grad for parameter in generator.backbone.parameters())
    assert all(parameter.requires_grad for parameter in adapter.named_parameters().values())
    assert not hasattr(generator.backbone, "peft_config")


def test_the_change_is_the_delta_of_the_adapted_network_by_hand() -> None:
    generator = ToyGenerator(torch.float64)
    adapter = shaken(LoraAdapter(generator.backbone, SETTINGS))
    noise, conditioning = noise_for(generator).double(), generator.encode(PROMPTS[:3])
    weights, base, scaling = (
        adapter.named_parameters(),
        dict(generator.backbone.named_parameters()),
        2.0,
    )

    def delta(name: str, x: Tensor) -> Tensor:
        down, up = weights[f"{name}.lora_A.weight"], weights[f"{name}.lora_B.weight"]
        if down.dim() == 2:
            return scaling * x @ down.T @ up.T
        return scaling * nn.functional.conv2d(nn.functional.conv2d(x, down, padding=1), up)

    text = conditioning.tensors["text"]
    text = text @ base["text.weight"].T + base["text.bias"] + delta("text", text)
    hidden = nn.functional.conv2d(
        noise, base["conv_in.weight"], base["conv_in.bias"], padding=1
    ) + delta("conv_in", noise)
    expected = delta("conv_out", torch.tanh(hidden + text[:, :, None, None]))
    torch.testing.assert_close(
        Hypernetwork(generator, adapter).displacement(noise, conditioning), expected
    )


def test_two_adapters_lie_on_one_backbone_and_do_not_mix() -> None:
    generator, alone = ToyGenerator(), ToyGenerator()
    noise, conditioning = noise_for(generator), generator.encode(PROMPTS[:3])
    first, second = (
        shaken(LoraAdapter(generator.backbone, SETTINGS)),
        shaken(LoraAdapter(generator.backbone, LoraSettings(rank=2, alpha=1, seed=5))),
    )
    tuned = FinetunedGenerator(generator, second).generate(noise, conditioning)
    change = Hypernetwork(generator, first).displacement(noise, conditioning)
    assert torch.equal(
        change,
        Hypernetwork(alone, shaken(LoraAdapter(alone.backbone, SETTINGS))).displacement(
            noise, conditioning
        ),
    )
    assert torch.equal(tuned, FinetunedGenerator(generator, second).generate(noise, conditioning))


def test_gradients_survive_leaving_the_block_before_backward() -> None:
    generator = ToyGenerator()
    adapter = shaken(LoraAdapter(generator.backbone, SETTINGS))
    noise, conditioning = noise_for(generator), generator.encode(PROMPTS[:3])
    change = Hypernetwork(generator, adapter).displacement(noise, conditioning)
    torch.autograd.backward(generator.generate(noise + change, conditioning).sum())
    assert all(
        weight.grad is not None and weight.grad.count_nonzero()
        for weight in adapter.named_parameters().values()
    )


def test_the_tree_is_restored_after_an_error_inside() -> None:
    generator = ToyGenerator()
    adapter, before = LoraAdapter(generator.backbone, SETTINGS), list(generator.backbone.modules())
    inside: list[nn.Module] = []

    def fail() -> None:
        inside.extend(generator.backbone.modules())
        raise RuntimeError("inside")

    with (
        pytest.raises(RuntimeError, match="inside"),
        adapter.active(),
        adapter.delta_only("conv_out"),
    ):
        fail()
    assert inside != before
    assert list(generator.backbone.modules()) == before
    assert not adapter.layers["conv_out"]._forward_hooks


def test_weights_are_float32_on_a_bfloat16_base() -> None:
    generator = UNetGenerator(torch.bfloat16)
    adapter = shaken(LoraAdapter(generator.backbone, SETTINGS))
    assert {weight.dtype for weight in adapter.named_parameters().values()} == {torch.float32}
    change = Hypernetwork(generator, adapter).displacement(
        noise_for(generator), generator.encode(PROMPTS[:3])
    )
    assert change.dtype == torch.float32
    assert change.count_nonzero()
    assert {parameter.dtype for parameter in generator.backbone.parameters()} == {torch.bfloat16}


def test_the_seed_decides_the_first_weights_and_nothing_else_does() -> None:
    def first(seed: int) -> dict[str, Tensor]:
        return LoraAdapter(
            ToyGenerator().backbone, LoraSettings(rank=4, alpha=8, seed=seed)
        ).state_dict()

    state = torch.get_rng_state()
    one = first(1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.randn(3)
    again, other = first(1), first(2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["conv_in.lora_A.weight"], other["conv_in.lora_A.weight"])
    assert not any(weight.count_nonzero() for name, weight in one.items() if "lora_B" in name)


class Odd(nn.Module):
    """Names that end alike, grouped convolutions, and an attention block with a projection of its
    own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3)
        self.block = nn.ModuleDict(
            {"conv": nn.Conv2d(6, 6, 3, groups=6), "even": nn.Conv2d(6, 6, 3, groups=2)}
        )
        self.attention = nn.MultiheadAttention(6, 2)
        self.parts = nn.ModuleList([nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)])
        self.requires_grad_(False)


def test_targets_are_all_that_can_carry_this_rank() -> None:
    assert find_targets(Odd(), LoraSettings(4, 4)) == ("conv", "block.even", "parts.0", "parts.2")
    assert find_targets(Odd(), LoraSettings(6, 6)) == (
        "conv",
        "block.conv",
        "block.even",
        "parts.0",
        "parts.2",
    )
    assert find_targets(Odd(), LoraSettings(4, 4, r"parts\..*")) == ("parts.0", "parts.2")


def test_a_dense_adapter_is_on_every_convolution_and_ignores_the_groups() -> None:
    odd = Odd()
    conv = odd.block["conv"]
    adapter = LoraAdapter(odd, LoraSettings(4, 4, dense=True))
    assert adapter.layers.keys() == {"conv", "block.conv", "block.even", "parts.0", "parts.2"}
    weights = adapter.named_parameters()
    assert (
        weights["block.conv.lora_A.weight"].shape,
        weights["block.conv.lora_B.weight"].shape,
    ) == ((4, 6, 3, 3), (6, 4, 1, 1))
    assert (odd.block["conv"] is conv, getattr(conv, "groups", 0)) == (True, 6)


def test_bfloat16_weights_are_kept_and_give_gradients_of_their_type() -> None:
    generator = ToyGenerator()
    adapter = LoraAdapter(generator.backbone, LoraSettings(4, 8, dtype="bfloat16"))
    network = Hypernetwork(generator, adapter)
    torch.autograd.backward(
        network.displacement(noise_for(generator), generator.encode(PROMPTS[:3])).sum()
    )
    weights = adapter.named_parameters()
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    gradient = weights["conv_out.lora_B.weight"].grad
    assert gradient is not None
    assert gradient.dtype == torch.bfloat16
    assert gradient.count_nonzero()


def test_a_layer_whose_name_ends_like_a_targets_is_left_alone() -> None:
    assert LoraAdapter(Odd(), SETTINGS).layers.keys() == {
        "conv",
        "block.even",
        "parts.0",
        "parts.2",
    }
    assert LoraAdapter(Odd(), LoraSettings(4, 8, pattern="conv")).layers.keys() == {"conv"}


def test_an_adapter_does_not_keep_its_backbone_alive() -> None:
    backbone = ToyGenerator().backbone
    adapter, gone = LoraAdapter(backbone, SETTINGS), weakref.ref(backbone)
    del backbone
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match="no longer exists"), adapter.active():
        pass


def test_what_cannot_be_adapted_is_refused() -> None:
    generator = ToyGenerator()
    with pytest.raises(UsageError, match="`rank` was 0"):
        LoraAdapter(generator.backbone, LoraSettings(rank=0, alpha=1))
    with pytest.raises(UsageError, match="matches no linear or convolution layer of ToyBackbone"):
        LoraAdapter(generator.backbone, LoraSettings(4, 8, pattern="transformer.*"))
    with pytest.raises(UsageError, match="needs LoRA on the last layer of toy, 'conv_out'"):
        Hypernetwork(
            generator, LoraAdapter(generator.backbone, LoraSettings(4, 8, pattern="conv_in"))
        )
    unet: Any = UNetGenerator()
    unet.backbone.enable_gradient_checkpointing()
    with pytest.raises(UsageError, match="gradient checkpointing is on for unet"):
        Hypernetwork(unet, LoraAdapter(unet.backbone, SETTINGS))


def test_weights_load_strictly() -> None:
    adapter = LoraAdapter(ToyGenerator().backbone, SETTINGS)
    state = adapter.state_dict()
    with pytest.raises(UsageError, match=r"missing text.lora_A.weight; unexpected none"):
        adapter.load_state_dict(
            {name: weight for name, weight in state.items() if name != "text.lora_A.weight"}
        )
    with pytest.raises(UsageError, match=r"missing none; unexpected other"):
        adapter.load_state_dict({**state, "other": torch.zeros(1)})
    with pytest.raises(
        UsageError, match=r"text.lora_A.weight has shape \(1, 4\); this backbone needs \(4, 4\)"
    ):
        adapter.load_state_dict({**state, "text.lora_A.weight": torch.zeros(1, 4)})
