"""The environment of a run: versions, commit, device and the settings of libraries that change
numbers. It has no host or user names.
"""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import hnbench

PACKAGES = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "peft",
    "open_clip_torch",
    "safetensors",
    "numpy",
    "pillow",
)
"""The packages whose version can change an image, a reward or a verdict."""


def environment(device: str) -> dict[str, Any]:
    """The environment of this process, as JSON types. `device` is a torch device name, such as
    `"cpu"` or `"cuda:0"`.
    """
    return {
        "hnbench": hnbench.__version__,
        "git": git_state(Path(hnbench.__file__).parent),
        "python": platform.python_version(),
        "os": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": device_name(device),
        "torch": torch_flags(),
    }


def git_state(package: Path) -> dict[str, Any] | None:
    """The commit of the package's source and whether tracked files differ from it; None outside a
    checkout.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(package), *arguments],  # noqa: S607
            capture_output=True,
            check=True,
            timeout=20,
        )
        return done.stdout.decode(errors="replace").strip()

    try:
        # An installed copy can lie inside the checkout of another project, whose commit says
        # nothing about it: the package must be tracked by git.
        git("ls-files", "--error-unmatch", "__init__.py")
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def device_name(device: str) -> str:
    """The name of the GPU, or of the processor."""
    import torch

    if torch.device(device).type == "cuda":
        return str(torch.cuda.get_device_name(device))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    # `platform.processor()` is empty on most Linux systems.
    models = [line for line in lines if line.startswith("model name")]
    return (
        models[0].partition(":")[2].strip()
        if models
        else platform.processor() or platform.machine()
    )


def torch_flags() -> dict[str, Any]:
    """The settings of torch that change results or speed."""
    import torch

    return {
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,  # type: ignore[no-untyped-call]
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
