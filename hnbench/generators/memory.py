"""Less memory for more time: activations recomputed in the backward pass, weights on the CPU.

No policy changes an image or a gradient.

    checkpoint-decoder   the image decoder's activations are computed again in the backward pass
    checkpoint-all       those of the backbone's blocks as well
    offload-text         the text encoders are on the CPU, and on the device only while they encode
    offload-blocks       the backbone's weights are on the CPU, and each layer's on the device only
                         while it computes; its blocks are recomputed as with checkpoint-all,
                         because otherwise the backward pass would keep all weights on the device

A backbone is shared with adapters, which put their layers into its module tree for a while
(`hnbench.hypernetwork.adapter`). By the time of the backward pass, those layers are out of the tree
again. So before a block is recomputed, the tree that it was first computed with must be restored;
otherwise something else would be recomputed, silently.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from accelerate import cpu_offload
from torch import nn
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop


def checkpoint_blocks(network: Any) -> None:
    """Make a diffusers network recompute its blocks in the backward pass."""
    network.enable_gradient_checkpointing(recompute_block)


def offload_blocks(network: nn.Module, device: torch.device) -> None:
    """Keep the weights of a network on the CPU, each layer's on `device` only while it computes.
    Meanwhile they are meta tensors in the module tree.
    """
    cpu_offload(network, execution_device=device)


def device_of_layer(layer: nn.Module) -> torch.device:
    """The device that a layer computes on, even if its weights are elsewhere until then."""
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    if not weight.is_meta:
        return weight.device
    hook: Any = layer._hf_hook  # noqa: SLF001 - accelerate has no other way to ask
    return torch.device(hook.execution_device)


def recomputes_safely(network: nn.Module) -> bool:
    """Whether the network recomputes nothing in the backward pass, or only by `recompute_block`,
    which restores the layers of the first time.
    """
    recomputing = [
        module for module in network.modules() if getattr(module, "gradient_checkpointing", False)
    ]
    return all(
        getattr(module, "_gradient_checkpointing_func", None) is recompute_block
        for module in recomputing
    )


def recompute_block(block: nn.Module, *inputs: Any) -> Any:
    """The block's output. Its activations are dropped, and recomputed in the backward pass by the
    layers that it has now.
    """
    tree = _Tree(block)
    # torch stops recomputing at the last value that it needs, by an exception. Then weights that
    # came to the device for the last layer would not leave it again.
    offloaded = any(weight.is_meta for weight in block.parameters())
    with set_checkpoint_early_stop(not offloaded):
        # Nothing here draws random numbers, so their state need not be kept.
        return checkpoint(
            block,
            *inputs,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), tree),
        )


class _Tree:
    """The module tree at the time of construction. The context restores it, and afterwards puts
    the present one back.
    """

    def __init__(self, root: nn.Module) -> None:
        self._children = [
            (parent, name, child)
            for parent in root.modules()
            for name, child in parent.named_children()
        ]
        self._replaced: list[tuple[nn.Module, str, nn.Module]] = []

    def __enter__(self) -> None:
        for parent, name, child in self._children:
            present = getattr(parent, name)
            if present is not child:
                self._replaced.append((parent, name, present))
                setattr(parent, name, child)

    def __exit__(self, *_: object) -> None:
        while self._replaced:
            parent, name, child = self._replaced.pop()
            setattr(parent, name, child)
