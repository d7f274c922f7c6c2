from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hnbench.errors import StoreError
from hnbench.hypernetwork.folder import State, TrainingFolder


def state(step: int) -> State:
    return State(
        step, {"adapter": {"a": torch.full((2,), float(step))}, "best": {}}, {"cost": step}
    )


def test_the_latest_state_comes_back_whole(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    assert folder.load() is None
    folder.save(state(9))
    folder.save(state(10))
    found = folder.load()
    assert found is not None
    assert (found.step, found.values, found.tensors["best"]) == (10, {"cost": 10}, {})
    assert found.tensors["adapter"]["a"].tolist() == [10, 10]
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-00000010"]


def test_a_kill_while_saving_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TrainingFolder(tmp_path)
    folder.save(state(1))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            folder.save(state(2))
    found = folder.load()
    assert found is not None
    assert found.step == 1
    folder.save(state(2))
    found = folder.load()
    assert found is not None
    assert found.step == 2


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.save(state(1))
    (tmp_path / "state" / "step-00000001" / "adapter.safetensors").write_bytes(b"torn")
    with pytest.raises(StoreError, match=r"step-00000001 is damaged .* delete it"):
        folder.load()


def test_another_training_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.claim({"config": {"steps": 10, "seed": 0}, "prompts": "x"})
    folder.claim({"config": {"steps": 10, "seed": 0}, "prompts": "x"})
    with pytest.raises(StoreError, match="holds another training: steps was 10, and is 20 now"):
        folder.claim({"config": {"steps": 20, "seed": 0}, "prompts": "x"})
    with pytest.raises(StoreError, match="prompts was x, and is y now"):
        folder.claim({"config": {"steps": 10, "seed": 0}, "prompts": "y"})
    (tmp_path / "training.json").write_text("[")
    with pytest.raises(StoreError, match="is damaged"):
        folder.claim({})


def test_the_log_is_cut_back_to_the_state_and_a_torn_line_dropped(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.rewind(-1)
    for step in range(4):
        folder.log({"step": step})
    log = tmp_path / "train.jsonl"
    log.write_text(log.read_text() + '{"st')
    folder.rewind(2)
    assert log.read_text().splitlines() == ['{"step": 0}', '{"step": 1}', '{"step": 2}']
    folder.rewind(-1)
    assert log.read_text() == ""


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        TrainingFolder(tmp_path).locked(),
        pytest.raises(StoreError, match="in use by another process"),
        TrainingFolder(tmp_path).locked(),
    ):
        pass
