"""Checkpoints: everything a run needs to go on bit for bit, in one file that is complete or absent."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import numpy as np

from modelzoo._io import atomic_file, explained, restore
from modelzoo.datasets import read_npz
from modelzoo.errors import ArtifactError, TargetExistsError

logger = logging.getLogger(__name__)

_FORMAT = 2
_NAME = re.compile(r"step-(\d{9})\.npz")


class Saved(NamedTuple):
    """The content of a checkpoint: steps made and asked for, history, values of all variables, and whether it ended."""

    step: int
    history: list[dict[str, float]]
    values: list[np.ndarray]
    stopped: bool
    total: int | None = None


class Checkpoints:
    """The checkpoints of one run in one directory; the last two are kept.

    Parameters
    ----------
    directory
        Where they are; created when the first is written.
    identity
        What makes the run the same run: model, recipe, seed and data. A checkpoint of another run is refused.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        self.directory = directory
        self._identity = json.loads(json.dumps(identity))

    def start(self, *, resume: bool) -> Saved | None:
        """Return the checkpoint to resume from; a new run is refused a directory that holds some."""
        if resume:
            return self.latest()
        if found := self._files():
            raise TargetExistsError(
                f"{self.directory} holds the checkpoint {found[-1].name}. Resume that run (resume=True, or --resume), "
                "or choose another directory."
            )
        return None

    def save(
        self,
        step: int,
        history: Sequence[Mapping[str, float]],
        values: Sequence[np.ndarray],
        *,
        stopped: bool = False,
        total: int | None = None,
    ) -> None:
        """Write a checkpoint after ``step`` steps and delete all but the last two.

        ``stopped`` says that training ended here, before its last step; ``total`` steps were asked for.
        """
        header = {
            "format": _FORMAT,
            "identity": self._identity,
            "step": step,
            "history": list(history),
            "stopped": stopped,
            "total": total,
            "values": len(values),
        }
        arrays = {f"v{i}": np.asarray(value) for i, value in enumerate(values)}
        with (
            atomic_file(self.directory / f"step-{step:09d}.npz") as temporary,
            open(temporary, "wb") as file,
        ):
            np.savez(file, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        for old in self._files()[:-2]:
            old.unlink(missing_ok=True)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes from writing checkpoints here during the block; a lock ends with its process."""
        with explained(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.directory / ".lock", timeout=0)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise TargetExistsError(
                    f"Another process keeps its checkpoints in {self.directory}. Wait for it, or use another directory."
                ) from None
            except (OSError, NotImplementedError) as error:  # a network file system, say, may have no locks
                if getattr(error, "errno", errno.ENOSYS) not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                    raise
                logger.warning("%s is on a file system without locks; nothing keeps others out.", self.directory)
            for left in self.directory.glob(".step-*.npz.*.tmp"):  # by a process that was killed
                restore(self.directory / left.name[1:].rsplit(".", 2)[0])
        try:
            yield
        finally:
            lock.release()

    def latest(self) -> Saved | None:
        """Return the newest readable checkpoint, or ``None`` if the directory holds none.

        Raises
        ------
        ArtifactError
            All checkpoints are damaged, or the newest belongs to another run.
        """
        files = self._files()
        for path in reversed(files):
            try:
                arrays = read_npz(path)
                header = json.loads(arrays.pop("header").tobytes())
                form, identity = header["format"], header.get("identity", {})
                # An archive's list of its members has no checksum, and a file may have been renamed.
                if form == _FORMAT and (header["values"], header["step"]) != (len(arrays), int(path.stem[-9:])):
                    raise ValueError(f"it holds {len(arrays)} values of step {header['step']}")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                logger.warning("Checkpoint %s is damaged (%s); trying the one before.", path, error)
                continue
            if form != _FORMAT:
                raise ArtifactError(f"{path} has format {form!r}; this modelzoo reads {_FORMAT}.")
            self._check_identity(path, identity)
            values = [arrays[f"v{i}"] for i in range(len(arrays))]
            return Saved(header["step"], header["history"], values, header["stopped"], header.get("total"))
        if files:
            raise ArtifactError(f"Every checkpoint in {self.directory} is damaged. Train again in an empty directory.")
        return None

    def _files(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if _NAME.fullmatch(path.name))

    def _check_identity(self, path: Path, identity: Mapping[str, Any]) -> None:
        for key, value in self._identity.items():
            there, here = identity.get(key), value
            if there != here:
                if isinstance(there, dict) and isinstance(here, dict):  # what is equal does not help
                    fields = sorted(name for name in there | here if there.get(name) != here.get(name))
                    there, here = ({name: facts.get(name) for name in fields} for facts in (there, here))
                raise ArtifactError(
                    f"{path} belongs to another run: its {key} is {_short(there)}, this run's is {_short(here)}. "
                    f"Resume with the same {key}, or choose another directory."
                )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
