"""The stand-in Hub, for checks from end to end."""

from tests.standin.conftest import hub, published, standin_root, standin_server

__all__ = ["hub", "published", "standin_root", "standin_server"]
