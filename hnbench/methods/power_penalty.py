"""The regulariser of MPGR: moments of the noise, and the power of its frequencies.

"MPGR", arXiv 2509.07027. A norm cannot tell noise from a pattern of the same length; the power of
the frequencies can.
"""

from __future__ import annotations

from torch import Tensor

from hnbench.methods.white_noise import BLOCK, MEAN_SIZE, frequencies

POWER_WEIGHT = 25.0


def power_penalty(noise: Tensor, order: Tensor) -> Tensor:
    """`|mean| + |sqrt(mean square) - 1| + 25 power`, `[B]`, of noises `[B, *shape]` with N numbers
    each, a multiple of `NUMBERS`.

    `power` is the mean over blocks of frequencies of the distance between their mean size and that
    of white noise. The numbers are put in a random order `[B, N]` first. For white noise the
    penalty is about 2.3, because the mean of a block has a deviation of 0.12.
    """
    flat = noise.flatten(1)
    mean = flat.mean(dim=1).abs()
    deviation = (flat.square().mean(dim=1).sqrt() - 1).abs()
    size = frequencies(flat.gather(1, order)).abs().view(len(flat), -1, BLOCK)
    power = (size.mean(dim=2) - MEAN_SIZE).abs().mean(dim=1)
    penalty: Tensor = mean + deviation + POWER_WEIGHT * power
    return penalty
