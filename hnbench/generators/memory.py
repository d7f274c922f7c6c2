"""Less memory for more time: recomputing activations in the backward pass, and text encoders that
lie on the CPU.

Each policy leaves images and gradients as they are.

    checkpoint-decoder   the image decoder's activations are computed again in the backward pass
    checkpoint-all       those of the backbone's blocks as well
    offload-text         the text encoders lie on the CPU, and on the device only while they encode

A backbone is shared with adapters that put layers of theirs into its module tree for a while
(`hnbench.hypernetwork.adapter`). By the time of the backward pass those layers are out of the tree,
so a block that is computed again must first be put back into the tree that it was computed with;
otherwise it would recompute something else, silently.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from torch import nn


def checkpoint_blocks(network: Any) -> None:
    """Have a diffusers network compute its blocks again in the backward pass."""
    network.enable_gradient_checkpointing(recompute_block)


def recomputes_safely(network: nn.Module) -> bool:
    """Whether all that a network recomputes in the backward pass, if anything, is recomputed as it
    was first computed.
    """
    recomputing = [
        module for module in network.modules() if getattr(module, "gradient_checkpointing", False)
    ]
    return all(
        getattr(module, "_gradient_checkpointing_func", None) is recompute_block
        for module in recomputing
    )


def recompute_block(block: nn.Module, *inputs: Any) -> Any:
    """The block's output; its activations are dropped, and computed again in the backward pass by
    the layers it has now.
    """
    tree = _Tree(block)
    # Nothing here draws random numbers, so their state need not be kept.
    return checkpoint(
        block,
        *inputs,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), tree),
    )


class _Tree:
    """Which module was whose child. Within the context it is so again; afterwards it is as it was
    before.
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
