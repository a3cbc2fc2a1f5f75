"""Downloads that break, from a server on this machine, whose files stand in for Fashion-MNIST."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import random
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faults_common import Progress, Row, Workers, contents, kill_after

FAULTS = {
    "wrong": "the server sends other bytes",
    "truncated": "the body is shorter than its Content-Length",
    "dropped": "the connection is reset midway",
    "refused": "the connection is refused",
    "404": "the server answers 404",
    "500": "the server answers 500",
    "damaged": "a file in the cache is damaged",
    "killed": "SIGKILL during the download",
}
NAMES = {
    "train-images-idx3-ubyte.gz": (900, 28, 28),
    "train-labels-idx1-ubyte.gz": (900,),
    "t10k-images-idx3-ubyte.gz": (150, 28, 28),
    "t10k-labels-idx1-ubyte.gz": (150,),
}
CHUNK = 1 << 14
#: Seconds a chunk takes where the process is to be killed meanwhile.
SLOW = 0.002


def make_files(rng: np.random.Generator) -> tuple[dict[str, bytes], dict[str, tuple[str, str]]]:
    """Return four IDX files of random images, packed, and the two hashes of each."""
    packed, pins = {}, {}
    for name, shape in NAMES.items():
        array = rng.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8)
        content = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape) + array.tobytes()
        packed[name] = gzip.compress(content, mtime=0)
        pins[name] = (hashlib.sha256(packed[name]).hexdigest(), hashlib.sha256(content).hexdigest())
    return packed, pins


class Server(http.server.ThreadingHTTPServer):
    """Serves the files, and one of them with a fault."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.fault = ""
        self.victim = ""
        self.part = 0.0

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        content, fault = self.server.files[name], self.server.fault if name == self.server.victim else ""
        if fault in ("404", "500"):
            self.send_error(int(fault))
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = int(self.server.part * len(content))
        if fault == "wrong":
            content = content[:cut] + bytes([content[cut] ^ 1]) + content[cut + 1 :]
        elif fault in ("truncated", "dropped"):
            content = content[:cut]
        with contextlib.suppress(OSError):  # who was killed does not listen any more
            for start in range(0, len(content), CHUNK):
                self.wfile.write(content[start : start + CHUNK])
                self.wfile.flush()
                if self.server.fault == "killed":
                    time.sleep(SLOW)
            if fault == "dropped":  # without a farewell: RST in place of FIN
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()


def download_rows(
    directory: Path, *, trials: int, seed: int, progress: Progress, faults: Sequence[str] = tuple(FAULTS)
) -> Iterator[Row]:
    """Yield a row for each fault."""
    rng = random.Random(f"{seed} download")
    files, pins = make_files(np.random.default_rng(seed))
    with Workers("light", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1") as workers, Server(files) as server:
        downloads = Downloads(workers, server, pins)
        for fault in faults:
            row = Row("download", FAULTS[fault])
            for number in range(trials):
                progress(f"{FAULTS[fault]}: trial {number + 1} of {trials}")
                with tempfile.TemporaryDirectory(dir=directory) as cache:
                    found, lost = downloads.trial(Path(cache), fault, rng)
                row.note(found, [f"{fault}, trial {number}: {text}" for text in lost])
            yield row


class Downloads:
    """A cache that is filled from a server, with a fault and without."""

    def __init__(self, workers: Workers, server: Server, pins: dict[str, tuple[str, str]]) -> None:
        self._workers, self._server, self._pins = workers, server, pins
        with tempfile.TemporaryDirectory() as cache:
            began = time.perf_counter()
            self._server.fault = "killed"  # as slow as when it will be killed
            self._expected = self._fetch(Path(cache))["checksum"]
            self._seconds = time.perf_counter() - began

    def _job(self, cache: Path) -> dict[str, Any]:
        base = f"http://127.0.0.1:{self._server.server_port}"
        urls = [f"{base}/", f"{base}/mirror/"]
        if self._server.fault == "refused":
            with socket.socket() as unused:  # bound a moment ago and closed: nobody listens there
                unused.bind(("127.0.0.1", 0))
                urls = [f"http://127.0.0.1:{unused.getsockname()[1]}/"] * 2
        return {"do": "download", "urls": urls, "pins": self._pins, "cache": str(cache)}

    def _fetch(self, cache: Path) -> dict[str, Any]:
        done = self._workers.run(**self._job(cache))
        return done["answer"] or {"ours": False, "text": f"the process ended with status {done['status']}"}

    def trial(self, cache: Path, fault: str, rng: random.Random) -> tuple[str, list[str]]:
        """Download with a fault and then without; return what was found and what was lost."""
        self._server.fault, self._server.victim, self._server.part = fault, rng.choice(list(NAMES)), rng.random()
        lost = []
        if fault == "killed":
            pid = self._workers.start(**self._job(cache))
            kill_after(pid, rng.uniform(0, 0.6 * self._seconds))
            found = "nothing unverified in the cache"
            if any("answer" in message for message in list(self._workers.messages())):
                found = "it had ended"
        elif fault == "damaged":
            self._server.fault = ""
            self._fetch(cache)
            path = cache / "fashion-mnist" / self._server.victim
            content = path.read_bytes()
            path.write_bytes(content[: int(self._server.part * len(content))])
            found = "fetched again"
        else:
            answer = self._fetch(cache)
            found = "one line says so and names the next step; nothing unverified in the cache"
            text = answer.get("text", "no error")
            if not answer.get("ours") or "\n" in text or "folder=" not in text or "Cannot download" not in text:
                lost.append(f"no clear error: {text!r}")
        if fault != "damaged":
            lost += self._unverified(cache, hidden=fault == "killed")
        self._server.fault = ""
        checksum = self._fetch(cache).get("checksum")
        if checksum != self._expected:
            lost.append("a good download fails afterwards")
        here = {Path(name).name for name, digest in contents(cache).items() if digest != "/"}
        lost += self._unverified(cache, hidden=False)
        if here != set(NAMES):
            lost.append(f"the cache holds {', '.join(sorted(here))}")
        return found, lost

    def _unverified(self, cache: Path, *, hidden: bool) -> list[str]:
        """Return what the cache holds besides published files; ``hidden`` allows what the next download deletes."""
        lost = []
        for name, digest in contents(cache).items():
            path = Path(name)
            if digest == "/" and name == "fashion-mnist":
                continue
            if hidden and any(part.startswith(".") and part.endswith(".tmp") for part in path.parts):
                continue
            if path.name not in self._pins or digest != self._pins[path.name][0]:
                lost.append(f"{name} is in the cache")
        return lost
