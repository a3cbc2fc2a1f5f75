"""Writing files and directories so that they are complete or absent, and hashing them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modelzoo.errors import TargetError, TargetExistsError


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def _sha256(file) -> str:  # Python 3.10 has no hashlib.file_digest
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return ``path`` as a Path, or raise if it cannot be written; nothing is left behind.

    Called before long work starts, so that a bad target costs nobody a training run.

    Raises
    ------
    TargetExistsError
        The target exists and ``overwrite`` is false.
    TargetError
        Nothing can be created in its nearest existing parent.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise TargetExistsError(f"{path} exists. Choose another path, or overwrite it (overwrite=True, --overwrite).")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    with explained(path), tempfile.TemporaryDirectory(dir=parent):
        return path


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what the operating system says while ``path`` is written as one of our errors."""
    try:
        yield
    except (TargetError, TargetExistsError):
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise TargetError(f"Cannot write {path}: {reason}. Check that the place is writable and not full.") from error


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it into place when the block succeeds.

    The file is flushed to disk before the move, so a crash leaves the old file or the new one.

    Raises
    ------
    TargetExistsError
        The target exists and ``overwrite`` is false.
    TargetError
        The target cannot be written.
    """
    path = check_target(path, overwrite=overwrite)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _sync(temporary)
            _give_usual_mode(temporary, 0o666)
            if overwrite:
                os.replace(temporary, path)
            else:
                _publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary directory beside ``path``; move it into place when the block succeeds.

    An existing directory is moved aside, replaced, and only then deleted; if the replacement fails it is
    moved back.

    Raises
    ------
    TargetExistsError
        The target exists and ``overwrite`` is false.
    TargetError
        The target cannot be written.
    """
    path = check_target(path, overwrite=overwrite)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
            _give_usual_mode(temporary, 0o777)
            if overwrite:
                _swap(temporary, path)
            else:
                _publish(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _publish(new: Path, path: Path) -> None:
    """Move a file or directory to where nothing must be, also if another process has just put something there."""
    try:
        if new.is_dir() or os.name == "nt":
            os.rename(new, path)  # refused where there is a directory with content; on Windows, where there is anything
        else:
            os.link(new, path)  # refused where there is anything
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise TargetExistsError(
                f"{path} appeared while it was being written: another process writes it too. Choose another path, or "
                "overwrite it (overwrite=True, --overwrite)."
            ) from error
        if new.is_dir() or error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS):
            raise
        os.replace(new, path)  # a file system without hard links


def _swap(new: Path, path: Path) -> None:
    if not path.exists():
        os.rename(new, path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    old = aside / path.name
    try:
        os.rename(path, old)
        os.rename(new, path)
    except BaseException:  # Ctrl-C too may come between the two
        if old.exists() and not path.exists():
            os.rename(old, path)
        raise
    finally:
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _give_usual_mode(path: Path, mode: int) -> None:
    """Undo mkstemp's private mode: the file gets what ``open`` would have given it."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(mode & ~mask)
