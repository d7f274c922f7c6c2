"""Names, weights, devices, presets and adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hnbench.api.arguments import held_out_of
from hnbench.catalogue import registry
from hnbench.catalogue.entries import RewardEntry
from hnbench.catalogue.loading import (
    check_generator,
    choose_device,
    dtype_of,
    find_adapter,
    load_generator,
    load_held_out,
    load_mixture,
    load_reward,
    make_methods,
    parse_angle,
    parse_weights,
    steps_of,
    training_settings,
)
from hnbench.catalogue.presets import Preset
from hnbench.catalogue.registry import Registry
from hnbench.errors import UsageError
from hnbench.weights import hub
from tests.methods.adapters import adapter_folder


def test_what_is_typed_replaces_the_presets_weights() -> None:
    assert parse_weights((), {"redness": 2.0}, "g") == {"redness": 2.0}
    assert parse_weights(["shapes-clip=0.5", "redness=-1e-1"], {"redness": 2.0}, "g") == {
        "shapes-clip": 0.5,
        "redness": -0.1,
    }


@pytest.mark.parametrize(
    "text", ["redness", "redness=", "redness=x", "redness=inf", "redness=0", "=1=2"]
)
def test_a_weight_is_a_number_that_is_not_zero(text: str) -> None:
    with pytest.raises(UsageError, match="it must be NAME=WEIGHT"):
        parse_weights([text], {}, "g")


def test_the_papers_mixture_by_one_name() -> None:
    papers = {"hpsv2.1": 5.0, "imagereward": 1.0, "clip": 0.01, "pickscore": 0.05}
    assert parse_weights(["human-preference"], {}, "g") == papers
    assert parse_weights(["human-preference=2", "redness=0.5"], {}, "g") == {
        **{n: 2 * w for n, w in papers.items()},
        "redness": 0.5,
    }
    assert parse_weights((), {"human-preference": 1.0}, "g") == papers


@pytest.mark.parametrize("typed", [["redness=1", "redness=2"], ["human-preference", "clip=1"]])
def test_a_reward_is_given_once(typed: list[str]) -> None:
    with pytest.raises(UsageError, match="is given twice"):
        parse_weights(typed, {}, "g")


@pytest.mark.parametrize(
    ("typed", "angle"), [(None, None), ("even", "even"), ("1.3", 1.3), ("0.5", 0.5)]
)
def test_an_angle_is_a_number_or_even(typed: str | None, angle: object) -> None:
    assert parse_angle(typed) == angle


@pytest.mark.parametrize("typed", ["", "odd", "0", "-1", "1.5708", "nan", "inf"])
def test_another_angle_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match=r"it must be a number between 0 and 1\.5708, or even"):
        parse_angle(typed)


def test_a_generator_computes_in_its_own_type_unless_the_user_says_otherwise() -> None:
    published = [entry.name for entry in registry.GENERATORS.built_in if entry.name != "shapes"]
    assert {dtype_of(name, None) for name in published} == {"bfloat16"}
    assert dtype_of("shapes", None) == dtype_of("owner/name", None) == "float32"
    assert dtype_of("sd-turbo", "float16") == "float16"


def test_a_mixtures_name_loads_a_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    redness = RewardEntry("redness", "hnbench.rewards.redness:load", "")
    both = RewardEntry("both", "hnbench.rewards.base:Mixture", "", weights={"redness": 2.0})
    monkeypatch.setattr(
        registry, "REWARDS", Registry("reward", "hnbench.none", RewardEntry, redness, both)
    )
    images = torch.rand(2, 3, 4, 4)
    made = load_reward("both", "cpu", "float32")
    assert made.name == "both"
    torch.testing.assert_close(
        made.score(images, ["a", "b"]),
        2 * load_reward("redness", "cpu", "float32").score(images, ["a", "b"]),
    )


@pytest.mark.parametrize("name", ["redness", "same", "both"])
def test_an_optimised_reward_is_not_held_out_under_another_name(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    entries = [
        RewardEntry("redness", "hnbench.rewards.redness:load", ""),
        RewardEntry("same", "hnbench.rewards.redness:load", ""),
        RewardEntry("brightness", "tests.toy_plugins:load_reward", ""),
        RewardEntry(
            "both",
            "hnbench.rewards.base:Mixture",
            "",
            weights={"brightness": 1.0, "same": 2.0},
        ),
    ]
    monkeypatch.setattr(
        registry, "REWARDS", Registry("reward", "hnbench.none", RewardEntry, *entries)
    )
    optimised = load_mixture({"redness": 1.0}, "cpu", "float32")
    names = held_out_of(name, Preset(), {"redness": 1.0})
    (other,) = load_held_out(["brightness"], optimised, "cpu", "float32")
    assert other.name == "brightness"
    with pytest.raises(UsageError, match=f"{names[-1]} scores with the model that redness is"):
        load_held_out(["brightness", *names], optimised, "cpu", "float32")


def test_auto_takes_cuda_where_there_is_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("name", "devices", "fine"),
    [("cuda", 1, True), ("cuda:1", 2, True), ("cuda:1", 1, False), ("cuda", 0, False)],
)
def test_cuda_devices_are_counted(
    monkeypatch: pytest.MonkeyPatch, name: str, devices: int, fine: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    if fine:
        assert choose_device(name) == name
    else:
        with pytest.raises(UsageError, match=f"torch finds {devices} CUDA devices"):
            choose_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "cpu:-1", "cuda:²"])
def test_unknown_devices(name: str) -> None:
    with pytest.raises(UsageError, match="; choose auto"):
        choose_device(name)


def test_a_mixture_is_the_weighted_sum() -> None:
    images = torch.rand(2, 3, 4, 4)
    alone, twice = (
        load_mixture({"redness": weight}, "cpu", "float32").score(images, ["a", "b"])
        for weight in (1.0, 2.0)
    )
    torch.testing.assert_close(twice, 2 * alone)


def test_a_preset_gives_parameters_and_an_adapter_and_what_is_typed_wins() -> None:
    preset = Preset(parameters={"reno": {"iterations": 7, "learning_rate": 2.0}})
    reno, hypernoise, other = make_methods(
        ["reno:iterations=3", "hypernoise", "hypernoise-other-noise:adapter=typed"],
        preset,
        {"hypernoise": Path("given")},
    )
    assert (reno.identity()["iterations"], reno.identity()["learning_rate"]) == (3, 2.0)
    assert (vars(hypernoise)["adapter"], vars(other)["adapter"]) == (Path("given"), Path("typed"))


def test_a_name_on_the_hub_is_downloaded_and_a_folder_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def download(source: hub.Source) -> Path:
        asked.append(f"{source} {source.kind}")
        return folder

    folder = adapter_folder(tmp_path / "adapter", "hypernoise")
    monkeypatch.setattr(hub, "download", download)
    assert find_adapter(str(folder), "hypernoise") == folder
    assert not asked
    assert find_adapter("owner/name@v1", "hypernoise") == folder
    (method,) = make_methods(["hypernoise"], Preset(), {"hypernoise": "owner/name"})
    assert vars(method)["adapter"] == folder
    assert asked == ["owner/name@v1 model", "owner/name model"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shpaes", "unknown generator 'shpaes'; did you mean 'shapes'?"),
        ("./nowhere", "there is no folder or file ./nowhere; give a diffusers pipeline's folder"),
        ("a/b/c", "'a/b/c' is not a repository of the Hub; write owner/name"),
        ("a/b:scheduler=x", "`scheduler` was 'x'; give one of: ddim, euler, lcm, tcd"),
        ("here:scheduler=lcm", "'here' is not a repository of the Hub; write owner/name"),
    ],
)
def test_a_generator_that_cannot_be_is_refused_at_once(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_generator(name)


def test_a_generator_is_a_name_a_folder_or_a_repository(tmp_path: Path) -> None:
    changed = "owner/name:unet=owner/other/unet.bin,scheduler=lcm"
    for name in ("shapes", "flux-schnell", str(tmp_path), "owner/name", "owner/name@v1", changed):
        check_generator(name)
    with pytest.raises(UsageError, match="holds no diffusers pipeline"):
        load_generator(str(tmp_path), "cpu", "float32")


def test_a_generator_has_steps_of_its_own() -> None:
    several = {entry.name: entry.steps for entry in registry.GENERATORS.built_in if entry.steps > 1}
    four = [*("sdxl-dmd2-4step", "sdxl-lightning", "sdxl-lcm", "sdxl-tcd")]
    four += ["flux2-klein", "sd3.5-large-turbo"]
    assert several == {**dict.fromkeys(four, 4), "z-image-turbo": 8}
    assert [steps_of(name, None) for name in ("shapes", "sdxl-lcm", "owner/name")] == [1, 4, 1]
    assert steps_of("sdxl-lcm", 2) == 2


def test_an_option_that_a_generator_does_not_have_is_refused() -> None:
    with pytest.raises(
        UsageError, match="the generator 'shapes' has no option image size; leave out `image_size`"
    ):
        load_generator("shapes", "cpu", "float32", image_size=128)
    with pytest.raises(UsageError, match="the memory policy 'all' is unknown"):
        load_generator("shapes", "cpu", "float32", memory="all")
    assert (
        load_generator(
            "shapes", "cpu", "float32", image_size=None, memory="checkpoint-all,offload-text"
        ).name
        == "shapes"
    )


def test_what_is_no_adapter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no adapter"):
        find_adapter(str(tmp_path / "empty"), "hypernoise")
    with pytest.raises(
        UsageError,
        match=r"there is no folder nowhere; as a name on the Hub: 'nowhere' is not a repository",
    ):
        find_adapter("nowhere", "hypernoise")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UsageError,
        match=r"there is no folder owner/nothing; as a name on the Hub: .* HF_HUB_OFFLINE forbids",
    ):
        find_adapter("owner/nothing", "hypernoise")
    monkeypatch.setattr(hub, "download", lambda source: tmp_path / "empty")
    with pytest.raises(UsageError, match=r"owner/a-model cannot be used: .* holds no adapter"):
        find_adapter("owner/a-model", "hypernoise")


def test_the_first_training_preset_is_the_default() -> None:
    preset = Preset(
        trainings={"code": {"hypernoise": {"rank": 3}}, "paper": {"hypernoise": {"rank": 4}}}
    )
    assert training_settings(preset, "hypernoise", None, "g") == {"rank": 3}
    assert training_settings(preset, "hypernoise", "paper", "g") == {"rank": 4}
    assert training_settings(preset, "finetune", "paper", "g") == {}
    assert training_settings(Preset(), "hypernoise", None, "g") == {}
    with pytest.raises(UsageError, match="'g' has no training preset 'peper'; it has code, paper"):
        training_settings(preset, "hypernoise", "peper", "g")
    with pytest.raises(UsageError, match="'g' has no training preset 'paper'; it has none"):
        training_settings(Preset(), "hypernoise", "paper", "g")
