"""The file of a trained offset: one safetensors file with the weights and a description."""

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
    """A trained offset, its generator, and the cost of its training."""

    offset: Tensor
    """`[*noise_shape]`, float32 on the CPU."""
    generator: str
    """The fingerprint of the generator that it was trained for."""
    training: Training
    sha256: str = ""
    """The SHA-256 of the file; empty before it is written."""

    def require_generator(self, generator: Generator) -> None:
        """Raise a `UsageError` for any generator other than that of the training."""
        if generator.fingerprint != self.generator:
            raise UsageError(
                f"the offset was trained for another generator than {generator.name!r}; train one"
                " for it: python -m hnbench_example.training"
            )


def write_adapter(path: Path, adapter: Adapter) -> None:
    """Write the file, replacing an existing one."""
    training = {**asdict(adapter.training), "seen": sorted(adapter.training.seen or ())}
    about = {"generator": adapter.generator, "training": json.dumps(training)}
    save_file({"offset": adapter.offset}, path, metadata=about)


def read_adapter(path: Path) -> Adapter:
    """Read the file. `UsageError` if it cannot be read."""
    try:
        # The time of the last change makes the cache notice a new version of the file.
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
