"""Training folders in which anything may be wrong: the training goes on, or says in one line why
not; a finished one keeps no state.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hnbench.errors import HnbenchError, StoreError
from hnbench.hypernetwork.trainer import Trainer
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork.tiny import PROMPTS, REGRESSION, config, mixture, search_of
from tests.mutations import mutated_json, only_one_line, replaced

KINDS: dict[str, dict[str, Any]] = {
    "hypernoise": {"optimizer": "sgd"},
    "finetune": {"optimizer": "adamw", "learning_rate": 0.01},
    "regression": {**REGRESSION, "optimizer": "sgd"},
}
STATE = "state/step-00000004"


def trainer(folder: Path, kind: str) -> Trainer:
    plan = config(**{"kind": kind, **KINDS[kind]})
    return Trainer(plan, ToyGenerator(), mixture(), PROMPTS, folder, search=search_of(plan))


class StopsAt:
    def started(self, step: int, total: int) -> None: ...

    def stepped(self, record: Mapping[str, Any]) -> None:
        if record["step"] == 5:
            raise KeyboardInterrupt


@pytest.fixture(scope="module", params=list(KINDS))
def stopped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A training that was killed in its fifth of six steps, and its kind."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.raises(KeyboardInterrupt):
        trainer(folder, request.param).train(StopsAt())
    return folder, request.param


@pytest.fixture
def folder(stopped: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped[0], tmp_path / "training"))


def go_on(one: Trainer) -> None:
    """What a training reads of its folder, and what it will write of that."""
    with one.folder.locked():
        one.folder.claim(one.manifest)
        one._restore()
        one._read_pairs()
    json.dumps(
        [one._description(one._cost()), one._state(one._cost()).values], allow_nan=False
    ).encode()
    assert one.step in (0, 4)


@pytest.mark.parametrize("name", ["training.json", f"{STATE}/state.json"])
def test_any_value_goes_on_or_is_one_line(
    stopped: tuple[Path, str], folder: Path, name: str
) -> None:
    content, one = json.loads((folder / name).read_text()), trainer(folder, stopped[1])
    with only_one_line() as outcomes:
        for what, text in mutated_json(content):
            (folder / name).write_bytes(text)
            outcomes.of(what, lambda: go_on(one))
    assert outcomes.refused > 100


FILES = [
    "training.json",
    "train.jsonl",
    *(f"{STATE}/{name}" for name in ("state.json", "adapter.safetensors", "optimizer.safetensors")),
]


@pytest.mark.parametrize("name", FILES)
def test_anything_in_the_place_of_a_file_goes_on_or_is_one_line(
    stopped: tuple[Path, str], folder: Path, name: str
) -> None:
    one = trainer(folder, stopped[1])
    with only_one_line() as outcomes:
        for what, place in replaced((folder / name).read_bytes()):
            place(folder / name)
            outcomes.of(what, lambda: go_on(one))
    assert outcomes.refused > 8


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{",
        '{"step": "x"}',
        '{"step": null}',
        '{"step": -1}',
        "{}",
        "[" * 100_000,
        '{"step": NaN}',
    ],
)
def test_a_damaged_line_of_the_log_is_told_by_its_number(
    stopped: tuple[Path, str], folder: Path, line: str
) -> None:
    log = folder / "train.jsonl"
    first, *others = log.read_text().splitlines(keepends=True)
    log.write_text("".join([first, f"{line}\n", *others]))
    with pytest.raises(StoreError, match=r"train\.jsonl:2 is damaged .* remove that line"):
        go_on(trainer(folder, stopped[1]))


def changed(name: str, change: Any, folder: Path) -> None:
    path = folder / STATE / name
    tensors = load_file(path)
    save_file(change(tensors), path)


@pytest.mark.parametrize(
    "name", ["adapter.safetensors", "optimizer.safetensors", "best.safetensors"]
)
@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: {},
        lambda tensors: {name: tensor.to(torch.int8) for name, tensor in tensors.items()},
        lambda tensors: {name: torch.stack([tensor, tensor]) for name, tensor in tensors.items()},
        lambda tensors: dict(list(tensors.items())[1:]),
        lambda tensors: tensors | {"0.other": torch.zeros(1)},
        lambda tensors: tensors | {"999.exp_avg": torch.zeros(1)},
        lambda tensors: tensors | {"x": torch.zeros(1)},
    ],
)
def test_tensors_that_do_not_fit_go_on_or_are_one_line(
    stopped: tuple[Path, str], folder: Path, name: str, change: Any
) -> None:
    changed(name, change, folder)
    try:
        trainer(folder, stopped[1]).train()
    except HnbenchError as error:
        assert "delete it to start the training again" in str(error)  # noqa: PT017


def test_a_state_of_another_step_is_refused(stopped: tuple[Path, str], folder: Path) -> None:
    """Or the training would end too early, or draw the noises of other steps."""
    (folder / STATE).rename(folder / "state" / "step-00000002")
    with pytest.raises(StoreError, match=r"step-00000002 is damaged \(it is of step 4\)"):
        trainer(folder, stopped[1]).train()


@pytest.mark.parametrize("name", ["../../outside", "/etc/hostname", "a/b", ""])
def test_a_state_names_no_file_outside_of_it(
    stopped: tuple[Path, str], folder: Path, name: str
) -> None:
    path = folder / STATE / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"groups": [name]}))
    with pytest.raises(StoreError, match=r"is damaged .*regex"):
        go_on(trainer(folder, stopped[1]))


def test_a_killed_clean_up_is_finished_by_the_next_call(
    stopped: tuple[Path, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shutil.rmtree

    def killed(path: Path, *arguments: Any, **options: Any) -> None:
        if path.name == "state":
            next(path.glob("*/adapter.safetensors")).unlink()
            raise KeyboardInterrupt
        whole(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            trainer(folder, stopped[1]).train()
    assert (folder / "adapter").is_dir()
    assert (folder / "state").is_dir()
    (folder / "adapter.writing").mkdir()
    (folder / "train.jsonl.writing").write_text("{")
    trainer(folder, stopped[1]).train()
    left = {path.name for path in folder.iterdir()} - {".lock"}
    pairs = {"pairs"} if stopped[1] == "regression" else set()
    assert left == {"adapter", "train.jsonl", "training.json"} | pairs


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "hnbench.json", "README.md", ""])
def test_a_finished_training_whose_adapter_was_damaged_is_not_called_done(
    stopped: tuple[Path, str], folder: Path, name: str
) -> None:
    adapter = trainer(folder, stopped[1]).train()
    (folder / "state").mkdir()
    if name:
        (adapter / name).unlink()
    else:
        shutil.rmtree(adapter)
        adapter.symlink_to("nowhere")
    with pytest.raises(
        StoreError, match=r"or remove .*adapter, and the same command makes it again"
    ):
        trainer(folder, stopped[1]).train()
    assert (folder / "state").is_dir()
