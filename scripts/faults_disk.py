"""Full and read-only disks, limits on files, and directories that vanish, while modelzoo writes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from faults_common import Progress, Row, Workers, contents

#: What is written, under which name.
KINDS = {
    "checkpoint": ("a checkpoint, while training", "checkpoints"),
    "save": ("`modelzoo.save`", "saved"),
    "train": ("`modelzoo train --output`", "trained"),
    "saved_model": ("`modelzoo export`", "exported"),
    "keras": ("`modelzoo export --format keras`", "model.keras"),
    "onnx": ("`modelzoo export --format onnx`", "model.onnx"),
    "litert": ("`modelzoo export --format litert`", "model.tflite"),
    "describe": ("`modelzoo describe --output`", "page"),
    "figure": ("`viz.save_figure`", "figure.png"),
}
FAULTS = {
    "limit": "files may only have so many bytes",
    "full": "the disk is full",
    "read-only": "the disk is read-only",
    "removed": "the directory is removed meanwhile",
}
BLOCK = 4096


class Disk:
    """A directory that runs full or becomes read-only: a small file system in memory, which takes root.

    Parameters
    ----------
    directory
        Where; created.
    mount
        Whether to mount a file system there.
    """

    def __init__(self, directory: Path, *, mount: bool) -> None:
        self.directory, self._mount = directory, mount
        self._filler = directory / "filler"

    def __enter__(self) -> Disk:
        self.directory.mkdir()
        if self._mount:
            _run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(self.directory))
        return self

    def __exit__(self, *_: object) -> None:
        if self._mount:
            _run("umount", "--lazy", str(self.directory))
        else:
            self.directory.chmod(0o755)

    def fill(self, room: int) -> None:
        """Leave so many bytes, in whole blocks."""
        stats = os.statvfs(self.directory)
        self._filler.write_bytes(bytes(max(stats.f_bavail * stats.f_frsize - room // BLOCK * BLOCK, 0)))

    def lock(self) -> None:
        """Let nobody write."""
        if self._mount:
            _run("mount", "-o", "remount,ro", str(self.directory))
        else:
            self.directory.chmod(0o555)

    def mend(self) -> None:
        """Let everybody write again."""
        if self._mount:
            _run("mount", "-o", "remount,rw", str(self.directory))
        else:
            self.directory.chmod(0o755)
        self._filler.unlink(missing_ok=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def why_no_mount(directory: Path) -> str:
    """Return why no file system can be mounted here, or nothing where one can."""
    if os.geteuid() != 0:
        return "needs root, to mount a small file system"
    try:
        with Disk(directory / "mount", mount=True):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"cannot mount a small file system ({(getattr(error, 'stderr', '') or str(error)).strip()})"
    finally:
        (directory / "mount").rmdir()


def disk_rows(
    workers: Workers,
    directory: Path,
    *,
    trials: int,
    seed: int,
    progress: Progress,
    kinds: Sequence[str] = tuple(KINDS),
    faults: Sequence[str] = tuple(FAULTS),
) -> Iterator[Row]:
    """Yield a row for each fault and kind of file."""
    rng = random.Random(f"{seed} disk")
    reason = why_no_mount(directory) if set(faults) & {"full", "read-only"} else ""
    wholes: dict[str, Whole] = {}
    for fault in faults:
        mount = fault in ("full", "read-only") and not reason
        if reason and (fault == "full" or (fault == "read-only" and os.geteuid() == 0)):
            yield Row("disk", FAULTS[fault], skipped=reason)
            continue
        for kind in kinds:
            words, name = KINDS[kind]
            if kind not in wholes:
                wholes[kind] = Whole(workers, directory, kind, name)
            row = Row("disk", f"{FAULTS[fault]}: {words}")
            for number in range(trials):
                progress(f"{FAULTS[fault]}, {kind}: trial {number + 1} of {trials}")
                with Disk(directory / "disk", mount=mount) as disk:
                    found, lost = wholes[kind].trial(disk, fault, rng)
                row.note(found, [f"{fault}, {kind}, trial {number}: {text}" for text in lost])
                shutil.rmtree(disk.directory)
            yield row


class Whole:
    """One kind of file as it is where nothing fails: the earlier version, and what the new one needs."""

    def __init__(self, workers: Workers, directory: Path, kind: str, name: str) -> None:
        self._workers, self._kind, self._name = workers, kind, name
        self._earlier, new = directory / f"{kind}-earlier", directory / f"{kind}-new"
        for version, place in enumerate((self._earlier, new)):
            place.mkdir()
            if kind == "checkpoint" and version == 1:
                shutil.copytree(self._earlier, place, dirs_exist_ok=True)
            answer = self._write(place, version)
            assert not answer["failed"], answer["text"]
        self._digest = answer.get("digest")
        sizes = [path.stat().st_size for path in new.rglob("*") if path.is_file()]
        if kind == "checkpoint":  # of many in turn, where the first that does not fit ends the run
            sizes = [min(size for size in sizes if size)]
        self._largest, self._blocks = max(sizes), sum(-(-size // BLOCK) for size in sizes)

    def _write(self, place: Path, version: int, **options: Any) -> dict[str, Any]:
        target = str(place / self._name)
        done = self._workers.run("write", kind=self._kind, target=target, version=version, **options)
        return self._answer(done)

    def _answer(self, done: dict[str, Any]) -> dict[str, Any]:
        crashed = {"failed": True, "ours": False, "text": f"the process ended with status {done['status']}"}
        return done["answer"] or crashed

    def trial(self, disk: Disk, fault: str, rng: random.Random) -> tuple[str, list[str]]:
        """Replace the earlier version under a fault, then without; return what was found and what was lost."""
        shutil.copytree(self._earlier, disk.directory, dirs_exist_ok=True)
        before = contents(disk.directory)
        options: dict[str, Any] = {}
        if fault == "limit":
            options["file_limit"] = rng.randrange(self._largest)
        elif fault == "full":
            disk.fill(rng.randrange(self._blocks) * BLOCK)
        elif fault == "read-only":
            disk.lock()
        answer = self._removed(disk.directory, rng) if fault == "removed" else self._write(disk.directory, 1, **options)
        disk.directory.mkdir(exist_ok=True)
        disk.mend()
        lost = []
        if answer["failed"] and (not answer["ours"] or "\n" in answer["text"].strip()):
            lost.append(f"not one line of ours: {answer['text'].strip()[-300:]!r}")
        if answer.get("changed"):
            lost.append("the model or the data were changed")
        if fault != "removed":
            if not answer["failed"]:
                lost.append("no error")
            elif (after := contents(disk.directory)) != before:
                lost.append(f"the directory was changed: {sorted(set(after.items()) ^ set(before.items()))}")
        else:
            left = [name for name in contents(disk.directory) if name.endswith(".tmp")]
            lost += [f"left behind: {', '.join(left)}"] if left else []
        again = self._write(disk.directory, 1)
        if again["failed"] or again.get("digest") != self._digest:
            lost.append(f"writing fails after the fault: {again['text'].strip()[-300:]!r}")
        kept = "one line says so, all as it was" if fault != "removed" else "one line says so"
        return (kept if answer["failed"] else "written before, or again"), lost

    def _removed(self, directory: Path, rng: random.Random) -> dict[str, Any]:
        """Write, and remove the directory as soon as the first temporary file is there, or a little later."""
        target = str(directory / self._name)
        delay = rng.choice((0, rng.uniform(0, 0.01)))
        watched = directory / self._name if self._kind == "checkpoint" else directory
        pid = self._workers.start("write", kind=self._kind, target=target, version=1)
        while not any(name.endswith(".tmp") and _names(watched / name) for name in _names(watched)):
            if not Path(f"/proc/{pid}").exists() and Path("/proc").exists():
                break
        time.sleep(delay)
        shutil.rmtree(directory, ignore_errors=True)
        messages = list(self._workers.messages())
        answers = [message["answer"] for message in messages if "answer" in message]
        return self._answer({"answer": answers[0] if answers else None, "status": messages[-1]["status"]})


def _names(directory: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(directory)
    return []
