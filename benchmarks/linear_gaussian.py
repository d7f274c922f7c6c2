"""Training compared with the truth: for a linear generator and a quadratic reward, the tilted noise
is a known Gaussian.

    python -m benchmarks.linear_gaussian --temperatures 0.3 1 3 10 --steps 800

The trainer, the hypernetwork and the divergence are those of hnbench. They are compared with closed
forms (docs/theory.md, "Linear generator, quadratic reward").
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.divergence import exact_divergence
from hnbench.hypernetwork.trainer import Trainer
from hnbench.rewards.base import Mixture, Reward
from hnbench.seeds import digest

DIMENSION, PIXELS = 6, (3, 2, 2)


class AffineBackbone(nn.Module):
    """One linear layer on the noise and a constant feature. So its low-rank delta is an affine map
    of the noise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(DIMENSION + 1, DIMENSION, bias=False)

    def forward(self, noise: Tensor) -> Tensor:
        features = torch.cat([noise, noise.new_ones(len(noise), 1)], dim=1)
        output: Tensor = self.out(features)
        return output


class AffineGenerator(Generator):
    """g(x) = M (x - backbone(x)) = A x + b, as images of 3x2x2 numbers in float64, which need not
    be in [0, 1].
    """

    name = "affine"
    noise_shape = (DIMENSION,)
    last_layer = "out"
    device = torch.device("cpu")
    dtype = torch.float64
    fingerprint = digest("affine")

    def __init__(self, seed: int = 0) -> None:
        draw = torch.Generator("cpu").manual_seed(seed)
        backbone = AffineBackbone().to(self.dtype).requires_grad_(False)
        self.backbone, self.weight = backbone, backbone.out.weight
        self.weight.copy_(
            0.3 * torch.randn(DIMENSION, DIMENSION + 1, generator=draw, dtype=self.dtype)
        )
        self.decoder = (
            torch.randn(math.prod(PIXELS), DIMENSION, generator=draw, dtype=self.dtype)
            / DIMENSION**0.5
        )

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        return Conditioning({"text": torch.zeros(len(prompts), 1)})

    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:  # noqa: ARG002
        output: Tensor = self.backbone(noise)
        return output

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:  # noqa: ARG002
        images: Tensor = (noise - self.predict(noise, conditioning)) @ self.decoder.T
        return images.view(-1, *PIXELS)

    @property
    def matrix(self) -> Tensor:
        """The slope of g, A."""
        matrix: Tensor = self.decoder @ (
            torch.eye(DIMENSION, dtype=self.dtype) - self.weight[:, :-1]
        )
        return matrix

    @property
    def offset(self) -> Tensor:
        """The constant of g, b."""
        offset: Tensor = -self.decoder @ self.weight[:, -1]
        return offset


class QuadraticReward(Reward):
    """-kappa / 2 times the squared distance to a target image."""

    name = "quadratic"
    fingerprint = digest("quadratic")

    def __init__(self, curvature: float, target: Tensor) -> None:
        self.curvature, self.target = curvature, target

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:  # noqa: ARG002
        return -0.5 * self.curvature * (images.flatten(1) - self.target).square().sum(1)


@dataclass(frozen=True)
class Truth:
    """The closed forms for g(x) = A x + b, reward -kappa/2 ||y - m||^2 and temperature alpha."""

    matrix: Tensor
    offset: Tensor
    curvature: float
    target: Tensor
    temperature: float

    @property
    def precision(self) -> Tensor:
        """Lambda, the precision of the tilted noise."""
        identity = torch.eye(self.matrix.shape[1], dtype=self.matrix.dtype)
        precision: Tensor = (
            identity + self.curvature / self.temperature * self.matrix.T @ self.matrix
        )
        return precision

    @property
    def mean(self) -> Tensor:
        """mu, the mean of the tilted noise."""
        pull = self.curvature / self.temperature * self.matrix.T @ (self.target - self.offset)
        mean: Tensor = torch.linalg.solve(self.precision, pull)
        return mean

    @property
    def slope(self) -> Tensor:
        """Lambda^-1: the slope of the optimum of the objective without its Jacobian term."""
        slope: Tensor = torch.linalg.inv(self.precision)
        return slope

    @property
    def exact_slope(self) -> Tensor:
        """Lambda^-1/2: the slope of the optimum of the objective with its Jacobian term."""
        values, vectors = torch.linalg.eigh(self.precision)
        slope: Tensor = vectors @ torch.diag(values.rsqrt()) @ vectors.T
        return slope

    def loss(self, slope: Tensor, shift: Tensor) -> float:
        """The expected training loss of T(x) = slope x + shift."""
        change = slope - torch.eye(len(slope), dtype=slope.dtype)
        size = 0.5 * (change.square().sum() + shift.square().sum())
        miss = (self.matrix @ slope).square().sum() + (
            self.matrix @ shift + self.offset - self.target
        ).square().sum()
        return float(self.temperature * size + 0.5 * self.curvature * miss)

    def divergence_to_target(self, slope: Tensor, shift: Tensor) -> float:
        """KL(T#p0 || tilted noise), for T(x) = slope x + shift."""
        return gaussian_divergence(shift, slope @ slope.T, self.mean, self.slope)

    @property
    def predicted_gap(self) -> float:
        """The divergence to the target at the optimum without the Jacobian term: 1/2 sum of (1 /
        lambda - 1 + log lambda).
        """
        values = torch.linalg.eigvalsh(self.precision)
        return float(0.5 * (1 / values - 1 + values.log()).sum())


def gaussian_divergence(
    mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor
) -> float:
    """KL(N(mean, covariance) || N(other_mean, other_covariance))."""
    precision, apart = torch.linalg.inv(other_covariance), other_mean - mean
    logs = torch.logdet(other_covariance) - torch.logdet(covariance)
    return float(
        0.5 * (torch.trace(precision @ covariance) - len(mean) + apart @ precision @ apart + logs)
    )


def affine_map(network: Hypernetwork) -> tuple[Tensor, Tensor]:
    """The slope and the shift of the trained T(x) = x + f(x), from its values at the origin and the
    unit vectors.
    """
    identity = torch.eye(DIMENSION, dtype=torch.float64)
    points = torch.cat([torch.zeros(1, DIMENSION, dtype=torch.float64), identity])
    with torch.no_grad():
        values = points + network.displacement(points, network.generator.encode([""] * len(points)))
    return (values[1:] - values[0]).T, values[0]


def truth_of(generator: AffineGenerator, temperature: float, curvature: float = 1.0) -> Truth:
    """The closed forms for a target image that is far from the mean image."""
    target = torch.linspace(-1, 2, math.prod(PIXELS), dtype=torch.float64)
    return Truth(generator.matrix, generator.offset, curvature, target, temperature)


def train(
    generator: AffineGenerator, truth: Truth, folder: Path, steps: int = 800, batch_size: int = 32
) -> Hypernetwork:
    """A hypernetwork that hnbench's trainer trained with the reward and temperature of `truth`."""
    config = TrainingConfig(
        kind="hypernoise",
        generator=generator.name,
        rewards={"quadratic": 1.0},
        prompts="none",
        steps=steps,
        batch_size=batch_size,
        optimizer="adamw",
        learning_rate=0.03,
        schedule="cosine",
        gradient_clip=1e6,  # so high that nothing is clipped
        rank=8,
        lora_alpha=8,
        regulariser_reduction="sum",
        regulariser_weight=truth.temperature,
        eval_every=steps,
        save_every=steps,
    )
    reward = Mixture({"quadratic": (QuadraticReward(truth.curvature, truth.target), 1.0)})
    adapter = Trainer(config, generator, reward, [""], folder).train()
    return Hypernetwork(generator, attach(generator, adapter, "hypernoise"))


def row(temperature: float, steps: int) -> str:
    """One line of the table of docs/theory.md."""
    generator = AffineGenerator()
    truth = truth_of(generator, temperature)
    with tempfile.TemporaryDirectory() as folder:
        network = train(generator, truth, Path(folder) / "training", steps)
    slope, shift = affine_map(network)
    identity = torch.eye(DIMENSION, dtype=torch.float64)
    start, best = (
        truth.loss(identity, torch.zeros(DIMENSION, dtype=torch.float64)),
        truth.loss(truth.slope, truth.mean),
    )
    reached = (start - truth.loss(slope, shift)) / (start - best)
    noise = torch.randn(
        4096, DIMENSION, generator=torch.Generator("cpu").manual_seed(1), dtype=torch.float64
    )
    measured = exact_divergence(network.as_map(generator.encode([""] * len(noise))), noise)
    exact = gaussian_divergence(
        truth.mean, truth.slope @ truth.slope, torch.zeros_like(truth.mean), identity
    )
    numbers = [
        f"{temperature:g}",
        f"{1 - 1 / float(torch.linalg.eigvalsh(truth.precision)[-1]):.3f}",
        f"{100 * reached:.3f} %",
        f"{float((slope - truth.slope).abs().max()):.1e}",
        f"{truth.predicted_gap:.4f}",
        f"{truth.divergence_to_target(slope, shift):.4f}",
        f"{truth.divergence_to_target(truth.exact_slope, truth.mean):.4f}",
        f"{exact:.4f}",
        f"{float(measured.kl.mean()):.4f} ({float(measured.kl.std() / len(noise) ** 0.5):.4f})",
        f"{float(measured.half_squared_norm.mean()):.4f}",
    ]
    return f"| {' | '.join(numbers)} |"


def main() -> None:
    """Print the table of docs/theory.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.3, 1, 3, 10, 100])
    parser.add_argument("--steps", type=int, default=800)
    arguments = parser.parse_args()
    heads = [
        "alpha",
        "L",
        "decrease reached",
        "error of the slope",
        "KL to target, predicted",
        "trained",
        "with Jacobian term",
    ]
    heads += ["KL to N(0, I), closed form", "measured (s.e.)", "E 1/2 norm f^2"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for temperature in arguments.temperatures:
        print(row(temperature, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
