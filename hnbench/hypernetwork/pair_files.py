"""The pairs of a regression on disk: `batch-<n>.safetensors` in a folder, one file for each batch.

A file appears whole, so a training that was killed goes on with the next batch. Starting noises are
not stored: they follow from the training's seed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hnbench.errors import StoreError
from hnbench.files.decoding import MalformedError, decode
from hnbench.files.escaping import printable
from hnbench.files.reading import require_file
from hnbench.files.writing import write_whole, writing
from hnbench.hypernetwork.checkpoint import TrainingCost
from hnbench.hypernetwork.pairs import MadePairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hnbench.hypernetwork.pairs import NoisePairs

COST = "cost"
"""The entry of a file's header with the cost of its pairs, as JSON."""


class PairFiles:
    """The files in one folder, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, number: int, made: MadePairs) -> None:
        """Write the file of batch `number`, whole or not at all."""
        with writing(self.folder, "The pairs that were made are kept; the same command continues."):
            self.folder.mkdir(exist_ok=True)
            tensors = {"found": made.found, "rewards": made.rewards}
            header = {COST: json.dumps(msgspec.to_builtins(made.cost), allow_nan=False)}
            write_whole(self._path(number), save(tensors, header), ".writing")

    def read(self, pairs: NoisePairs) -> Iterator[MadePairs]:
        """The batches that are there, in order and up to the first one that is missing. One that
        cannot be used is a `StoreError`.
        """
        for number in range(pairs.batches):
            path = self._path(number)
            if not path.is_symlink() and not path.exists():
                return
            try:
                made = _made(path)
                _check(made, pairs, len(pairs.batch(number)))
            except (MalformedError, SafetensorError, OSError) as error:
                raise StoreError(
                    f"{path} is damaged ({printable(str(error))[:300]}); delete it, and its pairs"
                    " are made again"
                ) from error
            yield made

    def _path(self, number: int) -> Path:
        return self.folder / f"batch-{number:08d}.safetensors"


def _made(path: Path) -> MadePairs:
    require_file(path)
    with safe_open(path, framework="pt") as file:
        if sorted(file.keys()) != ["found", "rewards"]:
            raise MalformedError("it does not hold `found` and `rewards`")
        cost = decode((file.metadata() or {}).get(COST, ""), TrainingCost)
        return MadePairs(file.get_tensor("found"), file.get_tensor("rewards"), cost)


def _check(made: MadePairs, pairs: NoisePairs, count: int) -> None:
    for tensor, like in ((made.found, pairs.found), (made.rewards, pairs.rewards)):
        wanted = (count, *like.shape[1:])
        if tuple(tensor.shape) != wanted or tensor.dtype != like.dtype:
            raise MalformedError(
                f"it has numbers of shape {list(tensor.shape)} and type {tensor.dtype}, and those"
                f" of this training are {list(wanted)} and {like.dtype}"
            )
    if not bool(made.found.isfinite().all()):
        raise MalformedError("a noise is not finite")
