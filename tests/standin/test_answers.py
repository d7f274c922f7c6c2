"""What the Hub, the network and the disk may answer: each time one or two lines that name the cause
and what to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.standin.conftest import Hnbench
from tests.standin.hub import AWAY, BROKEN, FORBIDDEN, GATED, TOO_MANY, TORN, Fault, StandInHub

TURBO = "stabilityai/sd-turbo"
RUN = [
    "run",
    "--suite",
    "prompts.txt",
    "--generator",
    "sd-turbo",
    "--optimise",
    "redness=1",
    "--method",
    "random",
    "--limit",
    "1",
]


@pytest.fixture(autouse=True)
def prompt_file(hnbench: Hnbench) -> None:
    del hnbench
    Path("prompts.txt").write_text("a ring\n")


def refused(hnbench: Hnbench, *arguments: str) -> str:
    done = hnbench(*arguments)
    assert done.exit_code == 2, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    lines = [line for line in done.stderr.splitlines() if line.startswith("hnbench: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("command", [["fetch", "--generator", "sd-turbo"], RUN])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            GATED,
            (
                f"{TURBO} is gated: accept its terms at https://huggingface.co/{TURBO} and type `hf"
                " auth login`"
            ),
        ),
        (FORBIDDEN, "the Hub answered 403 Forbidden; ask for access on its page"),
        (
            TOO_MANY,
            "the Hub answered 429 Too Many Requests; wait 1 seconds, or type `hf auth login`",
        ),
        (
            BROKEN,
            (
                "the Hub answered 500 Internal Server Error; the Hub has a problem of its own: try"
                " again later"
            ),
        ),
        (
            AWAY,
            (
                "the Hub answered 503 Service Unavailable; the Hub has a problem of its own: try"
                " again later"
            ),
        ),
    ],
)
def test_a_bad_answer_is_told_with_its_cause(
    command: list[str], fault: Fault, message: str, hub: StandInHub, hnbench: Hnbench
) -> None:
    hub.faults[TURBO] = fault
    assert message in refused(hnbench, *command)
    hub.faults.clear()
    assert hnbench(*command).exit_code == 0, "the same command goes on afterwards"


def test_a_bad_answer_to_the_files_alone(hub: StandInHub, hnbench: Hnbench) -> None:
    hub.faults[f"{TURBO}/resolve"] = BROKEN
    assert "the Hub answered 500" in refused(hnbench, "fetch", "--generator", "sd-turbo")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fetch", "--generator", "nobody/nothing"],
            "the Hub has no repository 'nobody/nothing' (or it is private: type `hf auth login`)",
        ),
        (
            ["fetch", "--generator", f"{TURBO}@v9"],
            f"{TURBO} has no revision 'v9'; write {TURBO}@REVISION with one that it has",
        ),
        (
            ["fetch", "--generator", "xswu/HPSv2"],
            "xswu/HPSv2 has no model_index.json; check the name and the revision",
        ),
        (["fetch", "--optimise", f"clip@{TURBO}=1"], f"{TURBO} has no config.json; check the name"),
        (
            [*RUN, "--hypernetwork", "nobody/nothing"],
            "there is no folder nobody/nothing; as a name on the Hub: the Hub has no repository",
        ),
        (
            [*RUN, "--hypernetwork", TURBO],
            f"as a name on the Hub: {TURBO} has no adapter_config.json",
        ),
    ],
)
def test_what_is_not_there_is_named(arguments: list[str], message: str, hnbench: Hnbench) -> None:
    assert message in refused(hnbench, *arguments)


def test_a_part_without_weights_is_refused_before_anything_is_downloaded(
    hub: StandInHub, hnbench: Hnbench
) -> None:
    unet = hub.root / "models" / TURBO / "main" / "unet"
    hidden = [
        path.rename(unet.parent / f"hidden-{path.name}") for path in unet.glob("*.safetensors")
    ]
    try:
        assert f"{TURBO}@" in (line := refused(hnbench, "fetch", "--generator", "sd-turbo"))
        assert "has no unet/diffusion_pytorch_model" in line
        assert not [
            line
            for line in hub.asked
            if line.startswith("GET") and "/resolve/" in line and "model_index.json" not in line
        ]
    finally:
        for path in hidden:
            path.rename(unet / path.name.removeprefix("hidden-"))


def test_a_download_that_ends_too_early_is_no_file(
    hub: StandInHub, hnbench: Hnbench, offline: Callable[[], None]
) -> None:
    hub.faults["unet/diffusion_pytorch_model"] = TORN
    message = refused(hnbench, "fetch", "--generator", "sd-turbo")
    assert f"only a part of {TURBO}@" in message
    assert "it has no unet/diffusion_pytorch_model" in message
    hub.faults.clear()
    assert hnbench("fetch", "--generator", "sd-turbo").exit_code == 0
    offline()
    assert hnbench(*RUN).exit_code == 0


def test_offline_with_an_empty_cache(
    hub: StandInHub, hnbench: Hnbench, offline: Callable[[], None]
) -> None:
    offline()
    assert (
        f"{TURBO} is not in the local cache and HF_HUB_OFFLINE forbids asking the Hub; unset it"
        in refused(hnbench, *RUN)
    )
    assert not hub.asked


@pytest.mark.parametrize(
    "lost",
    ["unet/config.json", "vae/diffusion_pytorch_model.fp16.safetensors", "tokenizer/vocab.json"],
)
def test_offline_with_a_part_of_the_files(
    lost: str, hnbench: Hnbench, offline: Callable[[], None], hub: StandInHub
) -> None:
    assert hnbench("fetch", "--generator", "sd-turbo").exit_code == 0
    (path,) = Path(constants.HF_HUB_CACHE).glob(f"models--stabilityai--sd-turbo/snapshots/*/{lost}")
    path.unlink()
    offline()
    message = refused(hnbench, *RUN)
    assert f"only a part of {TURBO}@" in message
    assert (
        "it has no tokenizer/" in message
        if lost.startswith("tokenizer")
        else f"it has no {lost.partition('.')[0]}" in message
    )
    assert hub.asked


def test_nobody_is_there(
    hub: StandInHub, hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    del hub
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    message = refused(hnbench, *RUN)
    assert f"{TURBO} is not in the local cache and the Hub cannot be reached (" in message
    assert "Connection refused" in message
    assert "connect and type it again" in message


def test_a_cache_that_is_no_folder(
    hub: StandInHub, hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del hub
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    for command in (["fetch", "--generator", "sd-turbo"], RUN):
        message = refused(hnbench, *command)
        assert "the cache cannot be written to (Not a directory" in message
        assert "set HF_HOME to a folder that can" in message


def test_a_read_only_cache(
    hub: StandInHub, hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: object, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    del hub
    monkeypatch.setattr("os.makedirs", read_only)
    message = refused(hnbench, "fetch", "--generator", "sd-turbo")
    assert "the cache cannot be written to (Read-only file system" in message


def test_the_command_itself_with_nothing_but_its_environment(
    standin_server: StandInHub, tmp_path: Path
) -> None:
    """No patches: the address and the cache as a user gives them."""
    standin_server.faults.clear()
    surroundings = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HNBENCH"))
    }
    surroundings |= {
        "HF_ENDPOINT": standin_server.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hnbench", *arguments]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**surroundings, **more},
        )

    (tmp_path / "prompts.txt").write_text("a ring\n")
    fetched = call("fetch", "--generator", "sd-turbo", "--dtype", "float32")
    assert fetched.returncode == 0, fetched.stderr
    assert "everything is on this machine now" in fetched.stdout
    ran = call(*RUN, "--dtype", "float32", "--no-report", HF_HUB_OFFLINE="1")
    assert ran.returncode == 0, ran.stderr
