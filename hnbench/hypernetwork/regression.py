"""The loss of a regression: a hypernetwork learns what a search adds to a noise.

A pair is a noise e and the noise x that a search found from it. Per sample, with the predicted
change f(e, c) and d entries of a noise:

    loss = 1/d * || f(e, c) - (x - e) ||^2

The mean over the entries makes losses and gradients of generators with other noises comparable; it
does not move the minimum. Among all functions of e and c, that is the conditional mean E[x - e | e,
c], and the loss there is the mean conditional variance of x - e. Nothing in it knows the reward: a
change that the network cannot tell apart from others is averaged with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def regression_loss(change: Tensor, target: Tensor) -> Tensor:
    """The loss `[B]` of changes `[B, *noise_shape]` that should be the targets, of the same
    shape.
    """
    return (change - target).flatten(1).square().mean(1)
