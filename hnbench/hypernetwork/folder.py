"""A training's folder: its identity, a log, and the last state to continue from.

training.json      the training's identity; any other training is refused
train.jsonl        one line per step
state/step-<n>/    the latest state: named groups of tensors, and values; replaced as a whole
adapter/           the result, when the training is done
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hnbench.errors import StoreError
from hnbench.files.decoding import MalformedError, decode
from hnbench.files.escaping import printable
from hnbench.files.locking import locked
from hnbench.files.reading import content_of, json_of
from hnbench.files.writing import replace_folder, write_whole, writing
from hnbench.hypernetwork.config import Count

NOTHING = "not there"
"""The word for a missing field in messages."""


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """The content of state.json."""

    step: Count
    groups: list[Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]]
    values: dict[str, Any]


class _Logged(msgspec.Struct):
    """The field that is read from a line of train.jsonl."""

    step: Count


@dataclass(frozen=True)
class State:
    """Everything that a training needs to continue as if it had never stopped."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    values: Mapping[str, Any]


class TrainingFolder:
    """One training on disk. Only one process at a time may work in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.adapter = path / "adapter"
        self._log = path / "train.jsonl"

    def locked(self) -> AbstractContextManager[None]:
        """Hold the folder for the length of the block (`hnbench.files.locking.locked`)."""
        return locked(self.path)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        with writing(
            self.path, "The state that was saved last is kept; then the same command continues."
        ):
            yield

    def claim(self, manifest: Mapping[str, Any]) -> None:
        """Write the training's identity, or check that the folder already has the same one. A
        folder of another training is a `StoreError`.
        """
        path = self.path / "training.json"
        wanted = json.loads(json.dumps(manifest))  # as it reads back: tuples are lists
        if not os.path.lexists(path):
            with self._keeping():
                _write(path, json.dumps(wanted, indent=2, sort_keys=True) + "\n")
            return
        try:
            found = json_of(path, dict[str, Any])
        except MalformedError as error:
            raise StoreError(
                f"{path} is damaged ({error}); put it back, or choose another folder"
            ) from error
        differing = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        if differing:
            name = differing[0]
            raise StoreError(
                f"{self.path} holds another training:"
                f" {_difference(name, found.get(name), wanted.get(name))}; choose another folder"
            )

    def save(self, state: State) -> None:
        """Replace the saved state. A kill at any moment leaves the old or the new one."""
        with self._keeping():
            self._save(state)

    def _save(self, state: State) -> None:
        states = self.path / "state"
        target = states / _name(state.step)
        working = states / "writing"
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir(parents=True)
        for group, tensors in state.tensors.items():
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
                working / f"{group}.safetensors",
            )
        written = {"step": state.step, "groups": sorted(state.tensors), "values": state.values}
        _write(working / "state.json", json.dumps(written, allow_nan=False))
        replace_folder(working, target)
        # Last, so that there is always a whole state; `load` takes the latest.
        for old in states.iterdir():
            if old != target:
                shutil.rmtree(old)

    def load(self) -> State | None:
        """The latest saved state, or None. A damaged one is a `StoreError`."""
        found = sorted((self.path / "state").glob("step-*"))
        if not found:
            return None
        try:
            return _state_in(found[-1])
        except (OSError, SafetensorError, MalformedError) as error:
            raise self.damaged(error, found[-1]) from error

    def damaged(self, why: Exception, place: Path | None = None) -> StoreError:
        """The error for a damaged state, by default in the folder of states."""
        return StoreError(
            f"{place or self.path / 'state'} is damaged ({printable(str(why))[:300]}); delete it to"
            " start the training again"
        )

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to train.jsonl."""
        with self._keeping(), self._log.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def rewind(self, step: int) -> None:
        """Drop the log's lines after `step`, which a killed training wrote after its last saved
        state, and a torn last line.
        """
        if not os.path.lexists(self._log):
            return
        kept = []
        for number, line in enumerate(self._logged(), start=1):
            try:
                logged = decode(line, _Logged)
            except MalformedError as error:
                raise StoreError(
                    f"{self._log}:{number} is damaged ({error}); remove that line, only people read"
                    " it"
                ) from error
            if logged.step > step:
                break
            kept.append(line + b"\n")
        with self._keeping():
            _write(self._log, b"".join(kept).decode())

    def _logged(self) -> list[bytes]:
        """The log's whole lines."""
        try:
            return content_of(self._log).split(b"\n")[:-1]
        except MalformedError as error:
            raise StoreError(
                f"{self._log} cannot be read ({error}); remove it, only people read it"
            ) from error

    def discard_state(self) -> None:
        """Delete the state, which a finished training no longer needs, and unfinished files."""
        shutil.rmtree(self.path / "state", ignore_errors=True)
        for path in self.path.glob("*.writing"):
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _state_in(place: Path) -> State:
    written = json_of(place / "state.json", _Written)
    if place.name != _name(written.step):
        raise MalformedError(f"it is of step {written.step}")
    tensors = {group: _tensors(place / f"{group}.safetensors") for group in written.groups}
    return State(written.step, tensors, written.values)


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MalformedError(f"{path.name} is not a file")
    return load_file(path)


def _name(step: int) -> str:
    return f"step-{step:08d}"  # with zeros, so that names sort by step


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_whole(path, text.encode(), ".writing")


def _difference(name: str, found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        inner = min(
            key
            for key in found.keys() | wanted.keys()
            if found.get(key, NOTHING) != wanted.get(key, NOTHING)
        )
        return _difference(inner, found.get(inner, NOTHING), wanted.get(inner, NOTHING))
    return f"{printable(name)[:60]} was {printable(str(found))[:60]}, and is {str(wanted)[:60]} now"
