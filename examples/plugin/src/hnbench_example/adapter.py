"""What a training of the offset leaves on disk: one safetensors file, weights and description."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hnbench.errors import UsageError
from hnbench.methods.training import Training

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from hnbench.generators.base import Generator


@dataclass(frozen=True)
class Adapter:
    """A trained offset, and what is known of its training."""

    offset: Tensor
    """`[*noise_shape]`, float32 on the CPU."""
    generator: str
    """The fingerprint of the generator that it was trained for."""
    training: Training
    sha256: str = ""
    """Of the file."""

    def require_generator(self, generator: Generator) -> None:
        """Refuse any generator but the one of the training, by a `UsageError`."""
        if generator.fingerprint != self.generator:
            raise UsageError(
                f"the offset was trained for another generator than {generator.name!r}; train one"
                " for it: python -m hnbench_example.training"
            )


def write_adapter(path: Path, adapter: Adapter) -> None:
    """Write the file; one that is there is replaced."""
    training = {**asdict(adapter.training), "seen": sorted(adapter.training.seen or ())}
    about = {"generator": adapter.generator, "training": json.dumps(training)}
    save_file({"offset": adapter.offset}, path, metadata=about)


def read_adapter(path: Path) -> Adapter:
    """Read the file, once per version of it. One that cannot be read is a `UsageError`."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not an offset that can be read: {error}") from error


@lru_cache(maxsize=8)
def _read(path: Path, _modified: int) -> Adapter:
    with safe_open(path, framework="pt") as file:
        about, offset = file.metadata(), file.get_tensor("offset")
    training = json.loads(about["training"])
    return Adapter(
        offset,
        about["generator"],
        Training(**{**training, "seen": frozenset(training["seen"])}),
        sha256(path.read_bytes()).hexdigest(),
    )
