"""Seeds and starting noise from identity, never from order.

The starting noise of a sample depends on the base seed, the prompt's text, the sample's index and
the candidate's number (0 is the sample's own starting noise; best-of-n asks for 1, 2, ...) and on
nothing else: not on batch size, order, device, process or the method that asks. It is drawn on the
CPU in float32, then moved and cast by whoever uses it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hnbench.tasks import Task


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical(value: Any) -> str:
    """A JSON-serialisable value as text that is the same for equal values: sorted keys, no spaces,
    and only the escapes that JSON requires.

    >>> canonical({"b": 1, "a": [1.5, None]})
    '{"a":[1.5,null],"b":1}'
    """
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """SHA-256, in hexadecimal, of a JSON-serialisable value written canonically, in UTF-8."""
    return digest_of_text(canonical(value))


def digest_of_text(text: str) -> str:
    """The digest of a value, from its canonical text.

    >>> digest_of_text("a red ring")[:8]
    '08e7a907'
    """
    # surrogatepass: every text has a digest, even one with lone surrogates
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seed_of(*identity: str | int) -> int:
    """The 63-bit seed that belongs to an identity, for example `(base_seed, prompt, sample,
    candidate)`.
    """
    return int(digest(list(identity))[:16], 16) >> 1  # the first 63 bits: a signed integer holds it


@dataclass(frozen=True)
class NoiseSource:
    """The starting noises of one run.

    `shape` is the generator's `noise_shape`, without the batch dimension. With `policy="shared"`
    the prompt's text is left out of the seed, as in GenEval's official generation script, which
    gives all prompts the same few noises; the default, `"per-prompt"`, gives each prompt its own.
    """

    base_seed: int
    shape: tuple[int, ...]
    policy: str = "per-prompt"

    def draw(self, task: Task, candidate: int = 0) -> torch.Tensor:
        """One noise: float32 on the CPU, of shape `shape`."""
        import torch

        prompt = task.prompt if self.policy == "per-prompt" else ""
        generator = torch.Generator("cpu").manual_seed(
            seed_of(self.base_seed, prompt, task.sample, candidate)
        )
        return torch.randn(self.shape, generator=generator, dtype=torch.float32)

    def step_seeds(self, tasks: Sequence[Task]) -> tuple[int, ...]:
        """The seed of the noise that a sampler adds between its steps, for each task.

        It depends on the same things as the starting noise, except on the candidate: the candidates
        of a search, and all methods, have the same noise between steps, so they differ only in
        their starting noise. The noise that is added after step k is the k-th draw.
        """
        return self.seeds(tasks, "between steps")

    def seeds(self, tasks: Sequence[Task], purpose: str, *numbers: int) -> tuple[int, ...]:
        """The seed of each task's other random numbers for a purpose, such as `"between steps"`.
        `numbers` tell several apart. It depends on the same things as the starting noise.
        """
        texts = [task.prompt if self.policy == "per-prompt" else "" for task in tasks]
        return tuple(
            seed_of(purpose, self.base_seed, text, task.sample, *numbers)
            for text, task in zip(texts, tasks, strict=True)
        )

    def batch(self, tasks: Sequence[Task], candidate: int = 0) -> torch.Tensor:
        """The noises of several tasks: float32 on the CPU, `[len(tasks), *shape]`."""
        import torch

        return torch.stack([self.draw(task, candidate) for task in tasks])
