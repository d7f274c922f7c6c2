"""An adapter is uploaded whole to the repository that was named, or a clear error says why not. No
call reaches the Hub.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from typer.testing import CliRunner

from hnbench.cli.app import app
from hnbench.errors import UsageError
from hnbench.hypernetwork.publish import plan_publish, publish
from tests.methods.adapters import adapter_folder


class Hub:
    """What `HfApi` was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.private = True
        self.failure: Exception | None = None

    def create_repo(self, repo: str, **named: Any) -> None:
        self.asked.append(("create", {"repo": repo, **named}))
        if self.failure:
            raise self.failure

    def model_info(self, repo: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.private)

    def upload_folder(self, *, folder_path: Path, **named: Any) -> None:
        self.asked.append(
            ("upload", {**named, "files": sorted(path.name for path in folder_path.iterdir())})
        )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()
    for name in ("create_repo", "model_info", "upload_folder"):
        monkeypatch.setattr(
            HfApi,
            name,
            lambda _self, *given, name=name, **named: getattr(hub, name)(*given, **named),
        )
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_token")
    return hub


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return adapter_folder(tmp_path / "adapter", "hypernoise")


def test_the_repository_is_made_and_all_files_are_uploaded(hub: Hub, adapter: Path) -> None:
    assert publish(adapter, "owner/name", private=True) == "https://huggingface.co/owner/name"
    assert hub.asked == [
        ("create", {"repo": "owner/name", "private": True, "exist_ok": True}),
        (
            "upload",
            {
                "repo_id": "owner/name",
                "commit_message": "Upload an adapter with hnbench",
                "files": [
                    "README.md",
                    "adapter_config.json",
                    "adapter_model.safetensors",
                    "hnbench.json",
                ],
            },
        ),
    ]
    hub.private = False
    publish(adapter, "owner/name", private=False)


def test_a_private_adapter_never_goes_to_a_public_repository(hub: Hub, adapter: Path) -> None:
    hub.private = False
    with pytest.raises(UsageError, match="exists and is public"):
        publish(adapter, "owner/name", private=True)
    assert [name for name, _ in hub.asked] == ["create"]


def test_no_token(hub: Hub, adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(
        UsageError, match=r"no token for the Hub; type `hf auth login`, or set HF_TOKEN"
    ):
        publish(adapter, "owner/name", private=False)
    assert not hub.asked


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            lambda: HfHubHTTPError("403 Forbidden", response=_response(403)),
            "owner/name was not written: the Hub answered 403 Forbidden; ask for access",
        ),
        (
            lambda: HfHubHTTPError.__bases__[0]("no route"),
            r"owner/name was not written: the Hub cannot be reached \(no route\); connect",
        ),
        (
            lambda: OfflineModeIsEnabled("offline"),
            "owner/name was not written: HF_HUB_OFFLINE forbids asking the Hub",
        ),
    ],
)
def test_failures_of_the_hub(hub: Any, adapter: Path, failure: Any, message: str) -> None:
    hub.failure = failure()
    with pytest.raises(UsageError, match=message):
        publish(adapter, "owner/name", private=False)


def _response(code: int) -> Any:
    import huggingface_hub

    client: Any = huggingface_hub.get_session().build_request(
        "POST", "https://huggingface.co/api/repos/create"
    )
    library: Any = __import__(type(client).__module__.split(".")[0])
    return library.Response(code, request=client)


@pytest.mark.parametrize("name", ["name", "owner/name/more", "owner/name@v1", ""])
def test_a_repository_is_owner_and_name(hub: Hub, adapter: Path, name: str) -> None:
    with pytest.raises(UsageError, match="write owner/name"):
        publish(adapter, name, private=False)
    assert not hub.asked


def test_what_is_not_all_of_an_adapter_stays_here(hub: Hub, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a trained adapter"):
        publish(tmp_path, "owner/name", private=False)
    (adapter / "adapter_model.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"is not whole: it has no adapter_model.safetensors"):
        publish(adapter, "owner/name", private=False)
    (adapter / "adapter_config.json").write_text(json.dumps({"r": 4}))
    with pytest.raises(UsageError, match="missing required field `lora_alpha`"):
        publish(adapter, "owner/name", private=False)
    assert not hub.asked


@pytest.mark.parametrize("there", [None, ["README.md", ".gitattributes"]])
def test_a_plan_lists_files_and_writes_nothing(
    hub: Hub, adapter: Path, monkeypatch: pytest.MonkeyPatch, there: list[str] | None
) -> None:
    def listed(_: HfApi, repo: str) -> list[str]:
        assert repo == "owner/name"
        if there is None:
            raise RepositoryNotFoundError("404", response=_response(404))
        return there

    monkeypatch.setattr(HfApi, "list_repo_files", listed)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    plan = plan_publish(adapter, "owner/name")
    assert dict(plan.files) == {path.name: path.stat().st_size for path in adapter.iterdir()}
    assert plan.overwritten == (("README.md",) if there else ())
    assert bool(plan.remark) == (there is None)
    assert not hub.asked
    done = CliRunner().invoke(app, ["push", str(adapter), "owner/name", "--dry-run"])
    assert done.exit_code == 0
    expected = "it exists; 1 of its other files" if there else "it does not exist, and would be"
    assert expected in done.stdout
    assert done.stdout.count("overwritten") == len(plan.overwritten)
    assert not hub.asked


def test_a_plan_without_the_network(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr(HfApi, "list_repo_files", fail)
    plan = plan_publish(adapter, "owner/name")
    assert plan.existing is None
    assert plan.remark.startswith("it was not looked at: HF_HUB_OFFLINE forbids")
    with pytest.raises(UsageError, match="write owner/name"):
        plan_publish(adapter, "name")
