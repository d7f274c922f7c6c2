"""The server of `hnbench view`, asked over a socket."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

import hnbench
from hnbench.cli.app import app
from hnbench.errors import UsageError
from hnbench.guards.interrupts import Terminated
from hnbench.reports.serving import address_of, file_at, server_of
from tests.reports.synthetic import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(
        tmp_path_factory.mktemp("served") / "run", ("random",), prompts_per_tag=1, images=True
    )
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("the page")
    (folder / "report" / "private.txt").write_text("not of the report")
    (folder / "secret.png").write_bytes(b"secret")
    return folder


@pytest.fixture(scope="module")
def port(run: Path) -> Iterator[int]:
    with server_of(run, 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def asked(
    port: int, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if host != "":
        connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, dict(answer.getheaders())


def image_of(run: Path) -> str:
    path = next((run / "images").glob("*/*.png"))
    return f"/{path.relative_to(run).as_posix()}"


def test_the_page_and_the_images_are_served(run: Path, port: int) -> None:
    status, content, headers = asked(port, "/report/index.html")
    assert (status, content) == (200, b"the page")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "connect-src 'none'" in headers["Content-Security-Policy"]
    path = image_of(run)
    status, content, headers = asked(port, path)
    assert (status, content) == (200, (run / path[1:]).read_bytes())
    assert headers["Content-Type"] == "image/png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_the_root_leads_to_the_page(port: int) -> None:
    status, _, headers = asked(port, "/")
    assert (status, headers["Location"]) == (302, "/report/index.html")


def test_head_has_no_content(run: Path, port: int) -> None:
    status, content, headers = asked(port, image_of(run), "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) == (run / image_of(run)[1:]).stat().st_size


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(port: int, method: str) -> None:
    assert asked(port, "/report/index.html", method)[0] == 501


@pytest.mark.parametrize(
    "path",
    [
        "/run.json",
        "/journal-0000.jsonl",
        "/secret.png",
        "/report/",
        "/report",
        "/images/",
        "/report/private.txt",
        "/report/../run.json",
        "/report/%2e%2e/run.json",
        "/report/..%2frun.json",
        "/report/..%5crun.json",
        "/images/../secret.png",
        "/images/ab/../../secret.png",
        "/images/%2e%2e/secret.png",
        "//etc/passwd",
        "/../../../../etc/passwd",
        "/report/index.html%00.png",
        "/report/index.html/",
        "/images/ab/" + "b" * 64 + ".png",
        "/images/zz/" + "z" * 64 + ".png",
        "http://other.example/run.json",
        "*",
    ],
)
def test_nothing_else_is_served(port: int, path: str) -> None:
    assert asked(port, path)[0] == 404


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:{}", "127.0.0.1", "127.0.0.1:1", "localhost:{}.x"]
)
def test_a_request_for_another_host_is_refused(port: int, host: str) -> None:
    status, content, _ = asked(port, "/report/index.html", host=host.format(port))
    assert status == 421
    assert b"the page" not in content


def test_this_machine_has_two_names(port: int) -> None:
    assert asked(port, "/report/index.html", host=f"localhost:{port}")[0] == 200


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    name = "ab" + "0" * 62 + ".png"
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "run" / "images" / "ab"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(tmp_path / "secret")
    assert file_at(tmp_path / "run", f"/images/ab/{name}") is None
    (folder / name).unlink()
    (folder / name).write_text("an image")
    assert file_at(tmp_path / "run", f"/images/ab/{name}") == folder / name


def test_only_this_machine_is_listened_to(run: Path) -> None:
    with server_of(run, 0) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"
        assert address_of(server) == f"http://127.0.0.1:{server.server_port}/report/index.html"


def test_a_port_in_use_is_an_error(run: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        used = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {used} cannot be used .*choose another `port`"):
            server_of(run, used)


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", ("random",), prompts_per_tag=1)


@pytest.mark.usefixtures("few_plots")
def test_the_command_writes_the_report_says_where_it_is_and_ends_at_ctrl_c(
    shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for signal, code in ((KeyboardInterrupt(), 0), (Terminated(), 143)):

        def serve_forever(*_: object, signal: KeyboardInterrupt = signal) -> None:
            raise signal

        monkeypatch.setattr("hnbench.reports.serving._Server.serve_forever", serve_forever)
        done = CliRunner().invoke(app, ["view", str(shown), "--no-browser"])
        assert done.exit_code == code
        assert done.stdout.startswith("The report is at http://127.0.0.1:")
    assert (shown / "report" / "index.html").is_file()
    assert opened == []


@pytest.mark.usefixtures("few_plots")
def test_a_report_is_written_again_only_if_the_run_has_changed(
    shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnbench.reports.serving._Server.serve_forever", lambda *_: None)
    page = shown / "report" / "index.html"
    hnbench.view(shown, browser=False)
    page.write_text("kept")
    hnbench.view(shown, browser=False)
    assert page.read_text() == "kept"
    later = (shown / "report" / "report.md").stat().st_mtime + 10
    os.utime(shown / "journal-0000.jsonl", (later, later))
    hnbench.view(shown, browser=False)
    assert page.read_text() != "kept"


def test_a_folder_that_is_not_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(hnbench.StoreError, match="not a run folder"):
        hnbench.view(tmp_path / "none", browser=False)
