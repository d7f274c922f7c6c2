"""A web server for the report of one run, for browsers on this machine alone.

It answers with the files of the report and the images of the records, and with nothing else: a path
is either the name of such a file or unknown, so there are no listings and no way out of the folder.
A request for another host than this machine is refused, because a page elsewhere could otherwise
read the run by giving its own name this machine's address (DNS rebinding).
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hnbench.errors import UsageError
from hnbench.reports.folder import PAGE
from hnbench.reports.write import FILES

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

ADDRESS = "127.0.0.1"
_HOSTS = frozenset({ADDRESS, "localhost"})
_START = f"/report/{PAGE}"
_IMAGE = re.compile(r"/images/([0-9a-f]{2})/(\1[0-9a-f]{62}\.png)", re.ASCII)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    # A report in somebody else's folder may be any page, so it may not send anything anywhere.
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' data:; connect-src 'none'; form-action 'none';"
        " frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def server_of(run: Path, port: int) -> ThreadingHTTPServer:
    """A server for a run's folder that listens but does not answer yet; port 0 is any free one.
    `UsageError` if the port cannot be used.
    """
    try:
        return _Server((ADDRESS, port), partial(_Handler, run))
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"port {port} cannot be used ({getattr(error, 'strerror', None) or error}); choose"
            " another `port`, or 0 for any free one"
        ) from None


def address_of(server: ThreadingHTTPServer) -> str:
    """The address of the report's page."""
    return f"http://{ADDRESS}:{server.server_port}{_START}"


def file_at(run: Path, path: str) -> Path | None:
    """The file of a run that a request's path names; None if there is no such file, or if a link
    leads out of the folder.
    """
    if found := _IMAGE.fullmatch(path):
        folder, file = run / "images", run / "images" / found[1] / found[2]
    elif path.startswith("/report/") and path.removeprefix("/report/") in FILES:
        folder, file = run / "report", run / path.removeprefix("/")
    else:
        return None
    inside = file.is_file() and file.resolve().is_relative_to(folder.resolve())
    return file if inside else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # On Windows, the option would let two servers share a port.
    allow_reuse_address = False


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; http.server itself refuses all other methods."""

    server_version, sys_version = "hnbench", ""
    timeout = 30
    """Seconds to wait for a request, so that idle connections do not keep their threads."""

    def __init__(self, run: Path, *arguments: Any) -> None:
        self.run = run
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
        """Print nothing for each request."""

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _answer(self, *, with_content: bool) -> None:
        if not self._is_for_this_machine():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", _START)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file = file_at(self.run, path)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        # The browser may go away at any time.
        with suppress(ConnectionError):
            self._send(file, with_content=with_content)

    def _is_for_this_machine(self) -> bool:
        host, _, port = (self.headers.get("Host") or "").partition(":")
        return host in _HOSTS and port == str(self.connection.getsockname()[1])

    def _send(self, file: Path, *, with_content: bool) -> None:
        with file.open("rb") as content:
            size = content.seek(0, 2)
            content.seek(0)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", _TYPES[file.suffix])
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if with_content:
                shutil.copyfileobj(content, self.wfile)
