"""What the trials of ``faults.py`` share: a row of its table, and the processes that do the work."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("faults_worker.py")
#: Longer than any job takes, also on a busy machine.
TIMEOUT = 240.0

#: Called with what goes on, for the progress shown meanwhile.
Progress = Callable[[str], None]


@dataclasses.dataclass
class Row:
    """What was tried, how often, what was found after it, and what was lost."""

    case: str
    fault: str
    trials: int = 0
    found: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    lost: list[str] = dataclasses.field(default_factory=list)
    #: Why it was not tried.
    skipped: str = ""

    def note(self, found: str, lost: list[str]) -> None:
        """Add the outcome of one trial."""
        self.trials += 1
        self.found[found] += 1
        self.lost += lost

    @property
    def outcome(self) -> str:
        """Everything that was found, with its number where there are several."""
        if self.skipped:
            return f"not tried: {self.skipped}"
        several = len(self.found) > 1
        return ", ".join(f"{text} ({count})" if several else text for text, count in self.found.most_common())


class Workers:
    """A process whose forks do one job each.

    Parameters
    ----------
    kind
        ``"heavy"`` has imported TensorFlow, ``"light"`` has not.
    """

    def __init__(self, kind: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(WORKER), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        )
        self._buffer = b""

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, do: str, **job: Any) -> int:
        """Begin a job and return the id of its process; its messages must be read to the end."""
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps({"do": do, **job}) + "\n").encode())
        self._process.stdin.flush()
        return next(self.messages())["pid"]

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what the job tells; its exit status is the last."""
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                message = json.loads(line)
                yield message
                if "status" in message:
                    return
            else:
                self._buffer += self._read()

    def run(self, do: str, **job: Any) -> dict[str, Any]:
        """Do a job to its end and return its answer; None in it where the process ended otherwise."""
        self.start(do, **job)
        messages = list(self.messages())
        answers = [message["answer"] for message in messages if "answer" in message]
        return {"messages": messages, "answer": answers[0] if answers else None, "status": messages[-1]["status"]}

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        content = os.read(stream, 1 << 16) if select.select([stream], [], [], TIMEOUT)[0] else b""
        if not content:
            self._process.kill()
            raise RuntimeError(f"{WORKER.name} ended, or did nothing for {TIMEOUT:.0f} s.")
        return content


def kill_after(pid: int, seconds: float) -> None:
    """Send SIGKILL to a process that may have ended meanwhile but was not waited for by us."""
    time.sleep(seconds)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def contents(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a directory tree, and every other entry, hidden ones too."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "/"
        for path in sorted(directory.rglob("*"))
    }
