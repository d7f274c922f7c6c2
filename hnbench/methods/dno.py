"""DNO: direct noise optimisation of the starting noise, with AdamW.

Tang et al., "Inference-Time Alignment of Diffusion Models with Direct Noise Optimization", arXiv
2405.18881. The defaults are those of its code, which leaves its regulariser out by default.
"""

from __future__ import annotations

from dataclasses import dataclass

from hnbench.methods.reno import ReNO


@dataclass(frozen=True, kw_only=True)
class DNO(ReNO):
    """ReNO with AdamW. With `regulariser_weight=1`, it has the published regulariser."""

    iterations: int = 100
    learning_rate: float = 0.01
    gradient_clip: float = 1.0
    regulariser_weight: float = 0.0
    optimiser: str = "adam"
    weight_decay: float = 0.01
    regulariser: str = "prno"

    name = "dno"
