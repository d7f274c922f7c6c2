import contextlib
import gc

import pytest

from hnbench.files.collection import without_collection


@pytest.mark.parametrize("was_on", [True, False])
def test_collection_is_afterwards_as_it_was(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        with contextlib.suppress(ZeroDivisionError), without_collection():
            assert not gc.isenabled()
            raise ZeroDivisionError
        assert gc.isenabled() == was_on
    finally:
        (gc.enable if before else gc.disable)()
