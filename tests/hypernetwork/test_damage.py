"""Adapter folders in which anything may be wrong: they are used, or refused in one line, and take
no more memory than they have bytes.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hnbench.errors import UsageError
from hnbench.hypernetwork import loading
from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import (
    adapter_sha256,
    check_whole,
    save_adapter,
)
from hnbench.methods.hypernoise import HyperNoise
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork.test_adapter import shaken
from tests.hypernetwork.test_checkpoint import describe
from tests.hypernetwork.tiny import PROMPTS
from tests.mutations import mutated_json, only_one_line, replaced

MIB = 2**20


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    generator, folder = ToyGenerator(), tmp_path / "adapter"
    adapter = shaken(LoraAdapter(generator.backbone, LoraSettings(4, 8)))
    save_adapter(folder, adapter, generator.backbone, describe(generator), PROMPTS)
    return folder


def use(folder: Path, generator: ToyGenerator | None = None) -> None:
    """All that a run asks of an adapter's folder; what it gets goes into run.json."""
    adapter_sha256(folder)
    training = HyperNoise(adapter=folder).prepare(generator or ToyGenerator())
    found = training.to_json({"a": PROMPTS[0]})
    assert json.dumps(found, allow_nan=False).encode()
    assert all(
        float(value) >= 0 for name, value in found.items() if name not in ("device", "seen_prompts")
    )
    check_whole(folder)


@pytest.mark.parametrize("name", ["hnbench.json", "adapter_config.json"])
def test_any_value_is_used_or_is_one_line(saved: Path, name: str) -> None:
    content, generator = json.loads((saved / name).read_text()), ToyGenerator()
    with only_one_line() as outcomes:
        for what, text in mutated_json(content):
            (saved / name).write_bytes(text)
            outcomes.of(what, lambda: use(saved, generator))
    assert outcomes.refused > 50
    assert outcomes.read > 10


@pytest.mark.parametrize(
    "name",
    [
        "hnbench.json",
        "adapter_config.json",
        "adapter_model.safetensors",
        "prompts.sha256",
        "README.md",
    ],
)
def test_anything_in_the_place_of_a_file_is_used_or_is_one_line(saved: Path, name: str) -> None:
    generator = ToyGenerator()
    with only_one_line() as outcomes:
        for what, place in replaced((saved / name).read_bytes()):
            place(saved / name)
            outcomes.of(what, lambda: use(saved, generator))
    assert outcomes.refused > 4


@pytest.mark.parametrize("name", ["hnbench.json", "prompts.sha256"])
@pytest.mark.parametrize("target", ["nowhere", None, "."])
def test_a_link_that_leads_nowhere_does_not_count_as_no_file(
    saved: Path, name: str, target: str | None
) -> None:
    """Without hnbench.json an adapter is of another program and not compared by fingerprint;
    without hashes nothing is contaminated.
    """
    (saved / name).unlink()
    (saved / name).symlink_to(target or name)
    with pytest.raises(UsageError, match=f"{name} cannot be read"):
        use(saved)


@pytest.mark.parametrize(
    "name", ["hnbench.json", "adapter_config.json", "prompts.sha256", "adapter_model.safetensors"]
)
def test_a_file_that_may_not_be_read_is_one_line(
    saved: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.open

    def refusing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(UsageError, match=rf"{name} cannot be read.*Permission denied"):
        use(saved)


TYPES = (torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)


def with_weights(folder: Path, change: Any) -> None:
    """Change the first weight of the file."""
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    name = next(iter(weights))
    save_file({**weights, name: change(weights[name])}, path)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_weights_of_other_types_are_refused(saved: Path, kind: torch.dtype) -> None:
    with_weights(saved, lambda weight: weight.to(kind))
    with pytest.raises(
        UsageError,
        match=rf"is of type {str(kind).removeprefix('torch.')}, and not of floating point",
    ):
        use(saved)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_weights_of_floating_point_are_taken(saved: Path, kind: torch.dtype) -> None:
    with_weights(saved, lambda weight: weight.to(kind))
    use(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda weight: weight[:, :0].clone(),
        lambda weight: weight[:0].clone(),
        lambda weight: weight[..., None].clone(),
        lambda weight: weight.flatten(),
        lambda weight: torch.zeros(()),
        lambda weight: torch.cat([weight, weight]),
        lambda weight: torch.zeros(4, 7, 1, 1),
    ],
)
def test_weights_of_other_shapes_are_refused(saved: Path, change: Any) -> None:
    with_weights(saved, change)
    with pytest.raises(UsageError, match=r"says rank|has shape"):
        use(saved)


@pytest.mark.parametrize("length", [0, 2**20, 2**40, 2**63, 2**64 - 1])
def test_a_header_of_any_length_is_one_line(saved: Path, length: int) -> None:
    path = saved / "adapter_model.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(UsageError, match="cannot be read as weights"):
        use(saved)


@pytest.mark.parametrize("begin", [0, 8, 10**9])
def test_a_header_with_other_places_is_one_line(saved: Path, begin: int) -> None:
    header = json.dumps(
        {
            "conv_in.lora_A.weight": {
                "dtype": "F32",
                "shape": [10**9, 10**9],
                "data_offsets": [begin, begin + 64],
            }
        }
    ).encode()
    (saved / "adapter_model.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(64)
    )
    with pytest.raises(UsageError, match="cannot be read as weights"):
        use(saved)


def official(saved: Path, content: Any) -> Path:
    """The folder as the official code writes one, with something of this kind in its file of
    weights.
    """
    (saved / "hnbench.json").unlink()
    (saved / "adapter_model.safetensors").unlink()
    path = saved / "adapter_model.bin"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda weight: weight.flatten()[:1].expand(10**6, 10**6), "is not a plain tensor"),
        (lambda weight: weight.to("meta"), "is not a plain tensor"),
        (
            lambda weight: weight.flatten(1).to_sparse(),
            "is not a plain tensor|cannot be read as weights",
        ),
        (lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), "is of type qint8"),
        (lambda weight: weight.tolist(), "holds no named LoRA weights"),
        (lambda weight: {"weight": weight}, "holds no named LoRA weights"),
        (lambda weight: Path("x"), "nothing of it was run"),
    ],
)
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
def test_what_a_pickle_may_hold_instead_of_weights_is_one_line(
    saved: Path, make: Any, message: str
) -> None:
    weights = load_file(saved / "adapter_model.safetensors")
    name = next(iter(weights))
    official(saved, {**weights, name: make(weights[name])})
    with pytest.raises(UsageError, match=message) as caught:
        use(saved)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04" + b"(" * 100_000,
        b"\x80\x02]" + b"]" * 100_000 + b"a" * 100_000 + b".",
        b"\x80\x02B\xff\xff\xff\x7f",
        b"\x80\x04\x8e" + b"\xff" * 8,
        b"I" + b"9" * 10_000 + b"\n.",
        pickle.dumps([1, 2], 5),
        pickle.dumps({}, 2),
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_damaged_pickles_are_one_line(saved: Path, content: bytes) -> None:
    official(saved, content)
    with pytest.raises(UsageError) as caught:
        use(saved)
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_byte_of_a_pickle_may_be_another(saved: Path) -> None:
    path = official(saved, load_file(saved / "adapter_model.safetensors"))
    content, draw = path.read_bytes(), torch.Generator().manual_seed(0)
    with only_one_line() as outcomes:
        for _ in range(300):
            place, value = (
                int(torch.randint(high, (), generator=draw))
                for high in (min(len(content), 3000), 256)
            )
            path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            outcomes.of(f"byte {place} is {value}", lambda: use(saved))


def test_a_compressed_archive_is_refused_before_it_is_unpacked(saved: Path) -> None:
    path = official(saved, {"conv_in.lora_A.weight": torch.zeros(32 * MIB)})
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    assert path.stat().st_size < MIB
    with pytest.raises(UsageError, match="it is compressed, as torch never writes it"):
        use(saved)


def test_an_adapter_of_any_rank_takes_no_memory_before_its_weights_fit(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the weights of one layer left out, peft would make them: 10^9 rows."""
    monkeypatch.setattr(loading, "LoraAdapter", lambda *_: pytest.fail("an adapter was made"))
    path = saved / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"r": 10**9}))
    with pytest.raises(UsageError, match="says rank 1000000000"):
        use(saved)
    save_file(
        {"conv_out.lora_B.weight": torch.zeros(2, 4, 1, 1)}, saved / "adapter_model.safetensors"
    )
    with pytest.raises(UsageError, match="missing conv_in"):
        use(saved)


@pytest.mark.parametrize(
    "pattern",
    ["(((", "*", "(?P<x", "[", "\\", "(" * 10_000, "a{99999999999}", "(?<=a*)b", "\ud800"],
)
@pytest.mark.parametrize("name", ["target_modules", "exclude_modules"])
def test_patterns_that_are_none_are_one_line(saved: Path, name: str, pattern: str) -> None:
    path = saved / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: pattern}))
    with pytest.raises(UsageError, match=r"adapter_config\.json cannot be (used|read)"):
        use(saved)
