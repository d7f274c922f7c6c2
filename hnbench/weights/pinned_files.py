"""Prompts and other texts of other projects: the files' origin, their licence, and a copy of each
on this machine.

A file is named as in the folder layout that `HNBENCH_DATA` points to, for example
`geneval/evaluation_metadata.jsonl`. Each is pinned to a commit and to its content: a changed prompt
would change every result silently. A pin is a SHA-256, or the beginning of one. For a file whose
SHA-256 is not published, it is `git:` and 40 digits, git's id of the content (a SHA-1 of its length
and the content).

HPSv3's file is pinned as it is in the package hpsv3 1.0.0. Whether its commit has the same file was
not checked; other content is refused.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

from hnbench.errors import UnavailableError, UsageError
from hnbench.files.hashing import sha256_of_file
from hnbench.weights.hub import assets_folder
from hnbench.weights.hub_errors import disk_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

GIT = "git:"
"""The prefix of a pin that is git's id of the content."""
VARIABLE = "HNBENCH_DATA"
"""The environment variable that names a folder with the files; what it lacks is taken from the
cache or downloaded.
"""


class NotHere(UsageError):  # noqa: N818
    """A file is not on this machine, where nothing may be downloaded."""


_forbidden: ContextVar[bool] = ContextVar("_forbidden", default=False)


@contextmanager
def nothing_downloaded() -> Iterator[None]:
    """Within the block, a file that would have to be downloaded is a `NotHere`."""
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


@dataclass(frozen=True)
class Origin:
    """One repository of GitHub at one commit."""

    repo: str
    commit: str
    licence: str
    """SPDX identifier of the licence that the files are under."""


@dataclass(frozen=True)
class DataFile:
    """One file of one origin."""

    origin: Origin
    path: str
    """Its path in the repository."""
    pin: str
    """The pin of its content, as the module's text says."""

    @property
    def url(self) -> str:
        """The address that it is downloaded from."""
        return (
            f"https://raw.githubusercontent.com/{self.origin.repo}/{self.origin.commit}/{self.path}"
        )


_GENEVAL = Origin("djghosh13/geneval", "af4902f24d3ca90ebbb446dd9891a59e0f82725f", "MIT")
_COMPBENCH = Origin("Karine-Huang/T2I-CompBench", "1b7094991a57f3c22abdd4f6e8ba6c1a15517073", "MIT")
_PARTI = Origin("google-research/parti", "5a657978134374ce28973948331b319adef164bd", "Apache-2.0")
_GENEVAL2 = Origin(
    "facebookresearch/GenEval2", "a6e82d2289e8d418f27f0adee77908b07060eea3", "CC-BY-NC-4.0"
)
_ELLA = Origin("TencentQQGYLab/ELLA", "3c228f1dc6c4d3cad0a47493816151a419f14db3", "Apache-2.0")
_HYPERNOISE = Origin("ExplainableML/HyperNoise", "bbe3ab4f9e2df89d4ccdd468acdd5246afde5e56", "MIT")
_HPSV3 = Origin("MizzenAI/HPSv3", "d232ff8669a0b00759766067c6c3a26e2e717fac", "MIT")

_PINS = {
    "dpg/dpg_bench.csv": "git:98457fc9901943f51ff9a30367250fc292533bed",
    "geneval/LICENSE": "e6082bfcbdf460dd19f8c55cc261055414df2a278768b4991c5382d65be2b52a",
    "geneval/evaluation_metadata.jsonl": (
        "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"
    ),
    "geneval/generation_prompts.txt": (
        "55b6e3650e980c13daf30569eb666e000faf19bfc2b7b4cbe999fcdb7aa9d680"
    ),
    "geneval/object_names.txt": "608f6a0e5c8ca1c7a92b818430141fe268c85b7930b50f4160f1d65893b5bacd",
    "geneval2/geneval2_data.jsonl": (
        "09233adbc9f877fba205f1a20efa4a8640e7e62a91dfd55893562bed8a928e43"
    ),
    "hpsv3/data_collator_qwen.py": (
        "b0f936e89f8df652c67d470412e1d9afd27aa711dec85724c19989ac91e7a3e3"
    ),
    "partiprompts/LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "partiprompts/PartiPrompts.tsv": (
        "fab29e41bb512a169b56acab4cf2a41dcb675e285df2efcde6640c7dd3c440eb"
    ),
    "t2i-compbench/3d_spatial_train.txt": (
        "0bba7e9ad31b0ce7908f6cbf2426a4b7ef6e8b841c1b737d0ad2d5b8e688dd93"
    ),
    "t2i-compbench/3d_spatial_val.txt": (
        "c9953597315f36a5fcb41291bb19bdc6ab5f64a0fa760d691b4854a73f5d1fe9"
    ),
    "t2i-compbench/LICENSE": "905b2fb8de6611b855171c41985efc7a36698016c083f1b39485a6f9e9d4ae00",
    "t2i-compbench/color_train.txt": (
        "db5d3287027d453f8c977f0c7315f8a01a770f02f61fa54ae19406762982393f"
    ),
    "t2i-compbench/color_val.txt": (
        "1634259756dbc77d13093d907d414480080ec9790a8c97ad09efaea7b2534f2d"
    ),
    "t2i-compbench/color_val_seen.txt": (
        "9b2859d9107b2ed4cae95808749de5ac3557a280eb79067a8ef55c4eec7711a9"
    ),
    "t2i-compbench/color_val_unseen.txt": (
        "7fa6f76bb602df9624262ee819f0b1ede20c14880cbacfb7fe8ce79f8157b5c2"
    ),
    "t2i-compbench/complex_train.txt": (
        "d214ac45cb3c5307dd14a144c8c69aa5ffdcc7be74ff71b5dac989f8ca9f924b"
    ),
    "t2i-compbench/complex_val.txt": (
        "1b808018b8d9916db3d47d5aa2ef18377a3549a56901a474156f799824cdf3b4"
    ),
    "t2i-compbench/complex_val_action.txt": (
        "d49ee4c7f99e3f3379fb8704a54ff5288b83bb412971edf616a4721c2473308e"
    ),
    "t2i-compbench/complex_val_spatial.txt": (
        "6c7ac0ab75c7c9080cfc7b421fb059b9b0febb98471707aeedf58771088abc02"
    ),
    "t2i-compbench/complex_val_spatialaction.txt": (
        "e02ddc7fed812e6577e7386ec2137ce0a994a5ce19771661f68df7ac349a6ca9"
    ),
    "t2i-compbench/new_objects.txt": (
        "f39a3d2ff6067d7738673cbf465dc659ccc750776162989a5d9916f1d5f3e231"
    ),
    "t2i-compbench/non_spatial_train.txt": (
        "dbac5a9ec83204dcd0c3538a12d3212e2ce66db6f7ba45b49a1d869b2d3f2430"
    ),
    "t2i-compbench/non_spatial_val.txt": (
        "04c56cc9ac441dc9ea6c5157652058bd1635b5308526dd31bb29a1caab9a758d"
    ),
    "t2i-compbench/numeracy_train.txt": (
        "f66bb8708cb0be23c0406e14d892b25661b2b71e3e72abddc79c38466ab629c6"
    ),
    "t2i-compbench/numeracy_val.txt": (
        "dad8df141604b70ba7554bec724e3db0a80023680769b5c514854ea2d2527bbe"
    ),
    "t2i-compbench/shape_train.txt": (
        "451bdfccd330d4cf979d45664817be7959e89250b93d5c591cc562b858175a87"
    ),
    "t2i-compbench/shape_val.txt": (
        "37e1a276906c7ea9516cbd7ac8501be896006c0c17ca7344f260562834455bae"
    ),
    "t2i-compbench/shape_val_seen.txt": (
        "5581f4c8904e11b00fe6e33d2cc21a5822f59f39f43fa51479bc30aa6d458a4d"
    ),
    "t2i-compbench/shape_val_unseen.txt": (
        "35b17a7b015405c5c96c51c5cd969a786b3855c48e6f68c184626f5db444d987"
    ),
    "t2i-compbench/spatial_train.txt": (
        "af14cdf2320057d98f94077e6211c2ddfaabfbb9e3842873657baabb17e00de6"
    ),
    "t2i-compbench/spatial_val.txt": (
        "8707a1d7e42ce3002d95363cf55f74bd043c843ae27108f5125aaaa7840ca988"
    ),
    "t2i-compbench/texture_train.txt": (
        "4846315c5972f9e9cc82e4833099e8ec2c28b999ca77269512715f3f56bde54f"
    ),
    "t2i-compbench/texture_val.txt": (
        "fbb5363515b4a28009e360afaaaf389d2dd2289e50dbb0c6ef4ea0c7fe4f3d4f"
    ),
    "t2i-compbench/texture_val_seen.txt": (
        "5548a49c68efefbbc88b2eb6dffd0f141373235370659158a5d15fdbd82c8c96"
    ),
    "t2i-compbench/texture_val_unseen.txt": (
        "6035f7dd8fd9efd6fbeedef64b04e1f651e977b2a1b9c47365c9e4eed0edc27b"
    ),
    "training/LICENSE": "3493a37d906057b04439b647af2518dbb6b4c5efe82cee44a3ed63a384e1d3e0",
    "training/abc-6k.txt": "47fa3ec1a839e6b74bb4f8e3746b454c8a8fb469cef66effddd172473f0f507b",
    "training/hypernoise-examples.txt": (
        "1e100c08b3d0d0fc927ce0562baac60bfa1fe5586e9cb95430f8f0da9ea51351"
    ),
    "training/pickapic-prompts.json": "git:38a86027a3b0190538aa5ddb21b59e2c8665496c",
}

_PLACES = {
    "dpg": (_ELLA, "dpg_bench"),
    "geneval": (_GENEVAL, "prompts"),
    "t2i-compbench": (_COMPBENCH, "examples/dataset"),
    "geneval2": (_GENEVAL2, ""),
    "hpsv3": (_HPSV3, "hpsv3/dataset"),
    "partiprompts": (_PARTI, ""),
    "training": (_HYPERNOISE, "assets"),
}
"""Local folder -> (repository, folder in it) where files keep their names."""

_OTHER_PATHS = {
    "geneval/LICENSE": "LICENSE",
    "t2i-compbench/LICENSE": "License.txt",
    "training/LICENSE": "LICENSE",
    "training/abc-6k.txt": "assets/ABC-6K.txt",
    "training/hypernoise-examples.txt": "assets/example_prompts.txt",
    "training/pickapic-prompts.json": "assets/pickapic_prompts.json",
}
"""A file's path in its repository, if it is not in that folder under the same name."""


def _known(name: str, pin: str) -> DataFile:
    folder, _, file = name.partition("/")
    origin, place = _PLACES[folder]
    return DataFile(origin, _OTHER_PATHS.get(name, f"{place}/{file}".lstrip("/")), pin)


FILES = {name: _known(name, pin) for name, pin in _PINS.items()}
"""Every known file, by name."""


def data_file(name: str, folder: Path | None = None) -> Path:
    """The local copy of a known file, by `fetch` with its address and pin from here."""
    file = FILES[name]
    return fetch(name, file.url, file.pin, folder)


def is_here(name: str) -> bool:
    """Whether a known file is on this machine, so that `data_file` downloads nothing."""
    try:
        with nothing_downloaded():
            data_file(name)
    except NotHere:
        return False
    return True


def fetch(
    name: str, url: str, pin: str, folder: Path | None = None, *, progress: bool = False
) -> Path:
    """The local copy of a file with the pinned content: in `folder` (or the one that `HNBENCH_DATA`
    names), in the cache, or downloaded.

    An empty `pin` takes any content. `progress` shows a bar while downloading. The cache is
    huggingface_hub's for assets (`HF_ASSETS_CACHE`), and `HF_HUB_OFFLINE=1` forbids the download.

    Raises `UnavailableError` for a download that is forbidden or fails, and `UsageError` for a
    folder that does not exist, a file with other content, and a cache that cannot be written to.
    """
    given = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if given is not None:
        if not given.is_dir():
            raise UsageError(
                f"the data folder {given} does not exist; set `data_dir` or {VARIABLE} to a"
                " folder, or leave both out to download"
            )
        if (given / name).is_file():
            return _checked(given / name, url, pin)
    cached = _cache(name)
    if not cached.is_file() or not matches_pin(cached, pin):
        _download(name, url, pin, cached, progress=progress)
    return cached


def by_hand(name: str, origin: str) -> Path:
    """A file or folder that is never downloaded, because no hash of it is known: in the folder that
    `HNBENCH_DATA` names. `UnavailableError` if it is not there; the message names the `origin`.
    """
    folder = os.environ.get(VARIABLE)
    if not folder or not (Path(folder) / name).exists():
        raise UnavailableError(
            f"{name} is not downloaded by hnbench; get it from {origin}, put it at FOLDER/{name}"
            f" and set {VARIABLE}=FOLDER"
        )
    return Path(folder) / name


def _checked(path: Path, url: str, pin: str) -> Path:
    if not matches_pin(path, pin):
        raise UsageError(
            f"{path} is not the known file (expected {_shown(pin)}); replace it with {url}, or"
            " remove it"
        )
    return path


def matches_pin(path: Path, pin: str) -> bool:
    """Whether a file's content is the pinned one. A file that cannot be read is a `UsageError`."""
    try:
        if pin.startswith(GIT):
            return git_id_of(path) == pin.removeprefix(GIT)
        return sha256_of_file(path).startswith(pin)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); make it readable, or remove it"
        ) from error


def _shown(pin: str) -> str:
    return f"git's {pin.removeprefix(GIT)[:12]}" if pin.startswith(GIT) else f"SHA-256 {pin[:12]}"


def git_id_of(path: Path) -> str:
    """Git's id of a file's content: the SHA-1 of `blob`, its length and its bytes, in
    hexadecimal.
    """
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _cache(name: str) -> Path:
    """The path of the downloaded copy."""
    subfolder, _, file = name.partition("/")
    return assets_folder("data", subfolder) / file


def _download(name: str, url: str, pin: str, path: Path, *, progress: bool) -> None:
    """Download to `path`, which appears only with the pinned content."""
    if _forbidden.get():
        raise NotHere(f"{name} is not on this machine; it is downloaded when it is needed")
    from huggingface_hub import constants
    from torch.hub import download_url_to_file

    by_hand = f"put it at FOLDER/{name} and set {VARIABLE}=FOLDER"
    if constants.HF_HUB_OFFLINE:
        raise UnavailableError(
            f"{name} is not on this machine, and HF_HUB_OFFLINE forbids the download; get {url},"
            f" {by_hand}"
        )
    arrived = path.with_name(f"{path.name}.arriving")
    try:
        download_url_to_file(url, str(arrived), progress=progress)
        if not matches_pin(arrived, pin):
            raise UsageError(
                f"{url} gave other content than expected ({_shown(pin)}); try again, or {by_hand}"
            )
        arrived.replace(path)
    except (URLError, HTTPException, TimeoutError, ConnectionError, FileNotFoundError) as error:
        raise UnavailableError(
            f"{name} cannot be downloaded from {url} ({_cause(error)}); connect and type it again,"
            f" or {by_hand}"
        ) from error
    except OSError as error:
        raise UsageError(f"{name} cannot be kept: {disk_reason(error)}") from error
    finally:
        arrived.unlink(missing_ok=True)


def _cause(error: Exception) -> str:
    """The cause of a failed download, such as `HTTP Error 429: Too Many Requests`."""
    return str(error).partition("\n")[0] or type(error).__name__
