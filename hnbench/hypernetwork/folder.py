"""A training's folder: what is trained, a log, and the last state to go on from.

training.json      the training's identity; another training is refused
train.jsonl        one line per step
state/step-<n>/    the latest state: named groups of tensors, and values; replaced whole
adapter/           the result, when the training is done
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hnbench.errors import StoreError
from hnbench.writing import writing


@dataclass(frozen=True)
class State:
    """What a training needs to go on as if it had never stopped."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    values: Mapping[str, Any]


class TrainingFolder:
    """One training on disk. Only one process at a time may work in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.adapter = path / "adapter"
        self._log = path / "train.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for the length of the block."""
        lock = FileLock(self.path / ".lock", timeout=0)
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout as error:
                raise StoreError(f"{self.path} is in use by another training; wait for it or choose another folder") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        with writing(self.path, "The state that was saved last is kept; then the same command continues."):
            yield

    def claim(self, manifest: Mapping[str, Any]) -> None:
        """Make the folder this training's, or check that it is."""
        path = self.path / "training.json"
        wanted = json.loads(json.dumps(manifest))
        if not path.exists():
            with self._keeping():
                _write(path, json.dumps(wanted, indent=2, sort_keys=True) + "\n")
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        except (ValueError, AttributeError) as error:
            raise StoreError(f"{path} is damaged: {error}") from error
        if differing:
            name = differing[0]
            raise StoreError(
                f"{self.path} holds another training: {_difference(name, found.get(name), wanted.get(name))}; choose another folder"
            )

    def save(self, state: State) -> None:
        """Replace the saved state; a kill at any moment leaves the old or the new one."""
        with self._keeping():
            self._save(state)

    def _save(self, state: State) -> None:
        states = self.path / "state"
        target = states / f"step-{state.step:08d}"
        working = states / "writing"
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir(parents=True)
        for group, tensors in state.tensors.items():
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, working / f"{group}.safetensors")
        _write(working / "state.json", json.dumps({"step": state.step, "groups": sorted(state.tensors), "values": state.values}))
        shutil.rmtree(target, ignore_errors=True)
        working.replace(target)
        for old in states.iterdir():
            if old != target:
                shutil.rmtree(old)

    def load(self) -> State | None:
        """The latest saved state, or None."""
        found = sorted((self.path / "state").glob("step-*"))
        if not found:
            return None
        try:
            written = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
            tensors = {group: load_file(found[-1] / f"{group}.safetensors") for group in written["groups"]}
            return State(written["step"], tensors, written["values"])
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise StoreError(f"{found[-1]} is damaged ({error}); delete it to start the training again") from error

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line."""
        with self._keeping(), self._log.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def rewind(self, step: int) -> None:
        """Drop the log's lines after `step`, which a killed training wrote beyond its saved state, and a torn last line."""
        if not self._log.exists():
            return
        kept = []
        for line in self._log.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                break
            if record["step"] > step:
                break
            kept.append(line + "\n")
        with self._keeping():
            _write(self._log, "".join(kept))

    def discard_state(self) -> None:
        """Delete what is only needed to go on."""
        shutil.rmtree(self.path / "state", ignore_errors=True)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    working = path.with_name(f"{path.name}.writing")
    with working.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    working.replace(path)


def _difference(name: str, found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        inner = min(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        return _difference(inner, found.get(inner), wanted.get(inner))
    return f"{name} was {str(found)[:60]}, and is {str(wanted)[:60]} now"
