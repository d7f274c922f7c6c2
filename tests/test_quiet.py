from __future__ import annotations

import pytest
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from hnbench.quiet import quiet_loading


@pytest.mark.parametrize("library", [diffusers_logging, transformers_logging])
def test_settings_are_put_back_even_after_an_error(library: object) -> None:
    def settings() -> tuple[int, bool]:
        return library.get_verbosity(), library.is_progress_bar_enabled()  # type: ignore[attr-defined]

    before = settings()
    seen = []

    def fail() -> None:
        with quiet_loading():
            seen.append(settings())
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        fail()
    assert seen == [(diffusers_logging.ERROR, False)]
    assert settings() == before
