"""A local server that speaks as much of the Hub's protocol as huggingface_hub needs to list,
download and upload; no request leaves here.

Repositories are folders: `ROOT/models/OWNER/NAME/REVISION/...` (or `datasets/`), with slashes of a
revision as `--`. Other files come from `ROOT/files/`, under `/files/`. What is uploaded becomes a
repository's `main`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Fault:
    """A bad answer: a status with its headers, or a body that ends in the middle."""

    status: int = 200
    code: str = ""
    """The Hub's own name for what is wrong, such as `GatedRepo`."""
    headers: dict[str, str] = field(default_factory=dict)
    truncated: bool = False


GATED = Fault(403, "GatedRepo")
NO_REPOSITORY = Fault(401, "RepoNotFound")
FORBIDDEN = Fault(403)
TOO_MANY = Fault(429, headers={"Retry-After": "1"})
BROKEN = Fault(500)
AWAY = Fault(503)
TORN = Fault(truncated=True)


class StandInHub:
    """The server. Use it in a `with` statement."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, Fault] = {}
        """By what a path contains, for example `owner/name` or `resolve/main/config.json`."""
        self.asked: list[str] = []
        """`METHOD path` of every request."""
        hub = self

        class Handler(_Handler):
            standin = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def repository(self, kind: str, repo: str, revision: str) -> tuple[Path, str] | None:
        """The folder and the commit of a revision, given as a branch or as that commit; None where
        there is none.
        """
        place = self.root / kind / repo
        for folder in sorted(place.glob("*")):
            commit = hashlib.sha1(
                f"{repo}@{folder.name}".encode(), usedforsecurity=False
            ).hexdigest()
            if revision in (folder.name.replace("--", "/"), commit):
                return folder, commit
        return None

    def has(self, kind: str, repo: str) -> bool:
        """Whether there is such a repository in any revision."""
        return (self.root / kind / repo).is_dir()


class _Handler(BaseHTTPRequestHandler):
    standin: StandInHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer_get(body=False)

    def do_GET(self) -> None:
        self._answer_get(body=True)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = self._chunks()
        if self._failed():
            return
        path = urlsplit(self.path).path
        if path == "/api/repos/create":
            asked = json.loads(content)
            repo = (
                f"{asked['organization']}/{asked['name']}"
                if asked.get("organization")
                else asked["name"]
            )
            (self.standin.root / "models" / repo / "main").mkdir(parents=True, exist_ok=True)
            self._json({"url": f"{self.standin.url}/{repo}"})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(content)["files"]
            self._json(
                {
                    "files": [
                        {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for each in files
                    ]
                }
            )
        elif "/commit/" in path:
            self._commit(path, content)
        else:
            self._refuse(Fault(404))

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _commit(self, path: str, content: bytes) -> None:
        repo = path.removeprefix("/api/models/").partition("/commit/")[0]
        for line in content.splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                target = self.standin.root / "models" / repo / "main" / item["value"]["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(base64.b64decode(item["value"]["content"]))
        found = self.standin.repository("models", repo, "main")
        assert found is not None
        self._json(
            {
                "success": True,
                "commitOid": found[1],
                "commitUrl": f"{self.standin.url}/{repo}/commit/{found[1]}",
                "hookOutput": "",
            }
        )

    def _failed(self) -> bool:
        self.standin.asked.append(f"{self.command} {unquote(self.path)}")
        fault = next(
            (fault for part, fault in self.standin.faults.items() if part in unquote(self.path)),
            None,
        )
        if fault is None or fault.truncated:
            return False
        self._refuse(fault)
        return True

    def _answer_get(self, *, body: bool) -> None:
        if self._failed():
            return
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[0] == "api":
            self._api(parts[1:])
        elif parts[0] == "files":
            self._file(self.standin.root.joinpath(*parts), "", body=body)
        else:
            kind = parts.pop(0) if parts[0] == "datasets" else "models"
            owner, name, _, revision, *rest = [*parts, ""] if len(parts) == 4 else parts
            found = self._found(kind, f"{owner}/{name}", revision)
            if found:
                self._file(found[0].joinpath(*rest), found[1], body=body)

    def _api(self, parts: list[str]) -> None:
        if parts == ["whoami-v2"]:
            self._json(
                {"type": "user", "name": "owner", "orgs": [], "auth": {"type": "access_token"}}
            )
            return
        kind, owner, name, *rest = parts
        what, revision = (rest[0], rest[1]) if len(rest) > 1 else ("revision", "main")
        found = self._found(kind, f"{owner}/{name}", revision)
        if found is None:
            return
        folder, commit = found
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = {path.relative_to(folder).as_posix(): path for path in files}
        if what == "tree":
            self._json(
                [
                    {"type": "file", "oid": _id(path), "size": path.stat().st_size, "path": each}
                    for each, path in names.items()
                ]
            )
            return
        sizes = "blobs" in parse_qs(urlsplit(self.path).query)
        siblings = [
            {
                "rfilename": each,
                **({"size": path.stat().st_size, "blobId": _id(path)} if sizes else {}),
            }
            for each, path in names.items()
        ]
        private = (folder.parent / "main" / ".private").exists()
        self._json(
            {
                "id": f"{owner}/{name}",
                "sha": commit,
                "private": private,
                "tags": [],
                "siblings": siblings,
            }
        )

    def _found(self, kind: str, repo: str, revision: str) -> tuple[Path, str] | None:
        found = self.standin.repository(kind, repo, revision)
        if found is None:
            self._refuse(
                Fault(404, "RevisionNotFound") if self.standin.has(kind, repo) else NO_REPOSITORY
            )
        return found

    def _file(self, path: Path, commit: str, *, body: bool) -> None:
        if not path.is_file():
            self._refuse(Fault(404, "EntryNotFound"))
            return
        content, start = path.read_bytes(), 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and asked.partition("=")[2].split("-")[0]:
            start = int(asked.partition("=")[2].split("-")[0])
        torn = any(
            fault.truncated and part in unquote(self.path)
            for part, fault in self.standin.faults.items()
        )
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{_id(path)}"')
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if body:
            self.wfile.write(
                content[start : start + (len(content) - start) // 2] if torn else content[start:]
            )
            if torn:
                self.close_connection = True

    def _json(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refuse(self, fault: Fault) -> None:
        self.send_response(fault.status)
        if fault.code:
            self.send_header("X-Error-Code", fault.code)
            self.send_header("X-Error-Message", f"{fault.code} here")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _id(path: Path) -> str:
    """What git calls the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def forget_uploads(root: Path, owner: str) -> None:
    """Remove what was uploaded by an owner."""
    shutil.rmtree(root / "models" / owner, ignore_errors=True)
