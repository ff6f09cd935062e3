# SPDX-License-Identifier: Apache-2.0
"""Against a real HTTP server on this machine, which can misbehave."""

import base64
import hashlib
import http.server
import io
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mixer_tf.checkpoints import downloading, fetch
from mixer_tf.checkpoints.downloading import DownloadError, cached_path, download


def make_npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.random.default_rng(0).normal(size=100_000))
    return file.getvalue()


CONTENT = make_npz()


class Handler(http.server.BaseHTTPRequestHandler):
    """Behaves as the base name of the URL says; counts the requests."""

    requests = 0

    def do_GET(self):
        type(self).requests += 1
        kind = os.path.basename(self.path).removesuffix(".npz")
        if kind == "absent":
            return self.send_error(404)
        body = b"<html>Please log in</html>" if kind == "portal" else CONTENT
        body = bytes(200) + body[200:] if kind == "altered" else body
        is_truncated = kind in ("broken", "endless") or kind == "flaky" and self.requests == 1
        self.send_response(200)
        if kind != "endless":
            self.send_header("Content-Length", len(body) + (kind == "short"))
        if kind in ("hashed", "altered"):
            md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
            self.send_header("x-goog-hash", "crc32c=AAAAAA==")
            self.send_header("x-goog-hash", f"md5={md5}")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if is_truncated else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """URL of the server, ending in a slash."""
    Handler.requests = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of the cache; no test may use the user's."""
    monkeypatch.setenv("MIXER_TF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names]


@pytest.mark.parametrize("kind", ["plain", "hashed"])
def test_a_file_is_downloaded_once(server, cache, kind):
    path = download(f"{server}gsam/{kind}.npz")
    assert pathlib.Path(path).read_bytes() == CONTENT
    assert download(f"{server}gsam/{kind}.npz") == path
    assert Handler.requests == 1
    assert files(cache) == [f"{kind}.npz"]


def test_two_urls_with_the_same_base_name_are_two_files(server):
    first, second = (download(f"{server}{folder}/Mixer-B_16.npz") for folder in ("sam", "gsam"))
    assert first != second
    assert Handler.requests == 2


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("broken", f"the connection ended after {len(CONTENT) // 2} of {len(CONTENT)} bytes"),
        ("short", f"the connection ended after {len(CONTENT)} of {len(CONTENT) + 1} bytes"),
        ("endless", "the response is not an .npz file"),
        ("portal", "the response is not an .npz file"),
        ("altered", "the MD5 of the response differs from the one that the server announces"),
        ("absent", "Not Found"),
    ],
)
def test_an_incomplete_file_never_enters_the_cache(server, cache, kind, reason):
    with pytest.raises(DownloadError) as raised:
        download(f"{server}{kind}.npz")
    message = str(raised.value)
    assert message.startswith(f"{server}{kind}.npz could not be downloaded: {reason}. ")
    assert f"put it at {cached_path(f'{server}{kind}.npz')}" in message
    assert files(cache) == []


def test_after_an_interruption_the_next_attempt_starts_again(server):
    with pytest.raises(DownloadError, match="the connection ended after"):
        download(f"{server}flaky.npz")
    assert pathlib.Path(download(f"{server}flaky.npz")).read_bytes() == CONTENT


_DOWNLOADING = """
import sys
from mixer_tf.checkpoints import downloading

def receive(url, file):
    file.write(open(sys.argv[2], "rb").read())
    file.flush()
    print(file.name, flush=True)
    sys.stdin.read()

downloading._receive = receive
downloading.download(sys.argv[1])
"""


def test_processes_can_download_the_same_file_at_the_same_time(server, cache, tmp_path):
    """And what a killed one has left is removed by the next one."""
    url = f"{server}plain.npz"
    (tmp_path / "content").write_bytes(CONTENT)
    command = [sys.executable, "-c", _DOWNLOADING, url, str(tmp_path / "content")]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen(command, **pipes) as live, subprocess.Popen(command, **pipes) as killed:
        partials = [pathlib.Path(process.stdout.readline().strip()) for process in (live, killed)]
        killed.kill()
        killed.wait()
        assert all(path.exists() for path in partials)
        assert pathlib.Path(download(url)).read_bytes() == CONTENT
        assert [path.exists() for path in partials] == [True, False]
    assert live.returncode == 0
    assert pathlib.Path(cached_path(url)).read_bytes() == CONTENT
    assert files(cache) == ["plain.npz"]


def test_an_existing_file_is_used_without_a_connection(cache):
    url = "https://nowhere.invalid/a/Mixer-B_16.npz"
    path = cached_path(url)
    assert path == str(cache / "nowhere.invalid" / "a" / "Mixer-B_16.npz")
    os.makedirs(os.path.dirname(path))
    open(path, "wb").close()
    assert download(url) == path


@pytest.mark.parametrize("url", ["http://nowhere.invalid/a.npz", "http://127.0.0.1:{}/a.npz"])
def test_offline_is_one_quick_and_clear_error(url):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = url.format(free.getsockname()[1])
    start = time.monotonic()
    with pytest.raises(DownloadError) as raised:
        download(url)
    assert time.monotonic() - start < 15
    assert "Download it on a machine with a connection and put it at" in str(raised.value)
    assert "MIXER_TF_CACHE" in str(raised.value)


def test_a_silent_server_times_out(monkeypatch):
    monkeypatch.setattr(downloading, "_TIMEOUT_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(DownloadError, match="could not be downloaded: timed out"),
    ):
        download(f"http://127.0.0.1:{silent.getsockname()[1]}/a.npz")


def test_progress_is_one_line_on_a_terminal(server, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    download(f"{server}plain.npz")
    lines = capsys.readouterr().err
    assert lines.startswith("\rplain.npz: ") and lines.endswith("100% \n")
    assert lines.count("\n") == 1


def test_without_a_terminal_there_is_no_output(server, capsys):
    download(f"{server}plain.npz")
    assert capsys.readouterr().err == ""


def test_an_unknown_name_lists_similar_names_and_all_names():
    with pytest.raises(ValueError) as raised:
        fetch("mixer_b16_imagenet22k")
    assert "Did you mean mixer_b16_imagenet21k or" in str(raised.value)
    assert "mixer_s8_gsam" in str(raised.value)
