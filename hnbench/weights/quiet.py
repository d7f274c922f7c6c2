"""Loading libraries and local models without their progress bars and warnings, and without settings
that the user made for other programs.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Within the block, diffusers and transformers log only errors and show no progress. Afterwards
    their settings are restored.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, (verbosity, bar) in zip(libraries, before, strict=True):
            library.set_verbosity(verbosity)
            if bar:
                library.enable_progress_bar()


_SETTINGS = "matplotlibrc"
"""The name of matplotlib's file of settings."""


def import_matplotlib() -> Any:
    """Import matplotlib with its original settings, for drawing into files, and return it.

    At import it reads a backend from MPLBACKEND, which a notebook may set to one that does not
    exist here, and a file `matplotlibrc` from the current folder, from MATPLOTLIBRC or from the
    user's settings. Any of them can make the import fail, so they are ignored. If its folder for
    caches cannot be written, matplotlib takes a temporary one; its warning about that is dropped.
    A matplotlib that was imported before stays as it is.
    """
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    exists = os.path.exists
    with (
        patch.dict(os.environ, {"MPLBACKEND": "agg", "MATPLOTLIBRC": str(_original_settings())}),
        # matplotlib looks for the current folder's file before it reads MATPLOTLIBRC.
        patch("os.path.exists", lambda path: path != _SETTINGS and exists(path)),
        _unremarked("matplotlib"),
    ):
        for module in (
            "matplotlib",
            "matplotlib.style",
            "matplotlib.backends.backend_agg",
            "matplotlib.font_manager",
        ):
            importlib.import_module(module)
        # It looks for the folder once, when it is first needed: now, while warnings are off.
        sys.modules["matplotlib"].get_cachedir()
    return sys.modules["matplotlib"]


def _original_settings() -> Path:
    """The file of settings that comes with matplotlib."""
    found = importlib.util.find_spec("matplotlib")
    assert found is not None  # noqa: S101
    assert found.origin is not None  # noqa: S101
    return Path(found.origin).parent / "mpl-data" / _SETTINGS


@contextmanager
def _unremarked(library: str) -> Iterator[None]:
    """Within the block, a library's warnings are not logged."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
