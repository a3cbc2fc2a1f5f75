"""Files and directories that are complete or absent, whatever happens while they are written.

A writer works in a hidden directory beside its target (``_workplace``), so that the last step is a rename within one
file system. Its content is flushed first: a power failure would otherwise leave the new name with old
blocks. A file replaces another by ``os.replace``, a directory by exchanging the two (``_exchange``, Linux), elsewhere
by two renames, between which a killed process leaves the old directory in its workplace (``_swap``). Without
``overwrite`` a target that appeared meanwhile is kept (``_publish``). ``restore`` deletes what killed processes left
and brings back what they had moved aside; a lock (``_lock``) tells these from writers that still live.
``check_target`` refuses a bad target before hours of work, and ``explained`` turns the system's errors into one line.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from modelzoo._checks import check_path
from modelzoo.errors import TargetError, TargetExistsError

try:
    import fcntl

    _HAS_LOCKS = True
except ImportError:  # Windows: what a killed process leaves stays there
    _HAS_LOCKS = False


def undated_member(name: str) -> zipfile.ZipInfo:
    """Return a member of a zip archive that depends on neither the time of writing nor the system."""
    member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3
    return member


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return ``path`` as a Path, or raise if it cannot be written; nothing is left behind.

    Raises
    ------
    TargetExistsError
        The target exists and ``overwrite`` is false.
    TargetError
        Nothing can be created in its nearest existing parent.
    """
    path = check_path(path, "what to write")
    restore(path)
    if path.exists() and not overwrite:
        raise TargetExistsError(f"{path} exists. Choose another path, or overwrite it (overwrite=True, --overwrite).")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    with explained(path), tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".tmp", dir=parent):
        return path


def restore(path: str | os.PathLike[str]) -> None:
    """Clear up after processes that were killed while they wrote ``path``; those that still write keep their files.

    What they had begun is deleted. What was at ``path`` and had been moved aside comes back, where the system cannot
    exchange two directories in one step. Whoever writes ``path`` next calls this, and whoever misses it.
    """
    path = Path(path)
    left = re.compile(rf"\.{re.escape(path.name)}\.\w{{8}}\.tmp")
    with contextlib.suppress(OSError):  # no such directory, or one that cannot be written
        for workplace in [path.parent / name for name in os.listdir(path.parent) if left.fullmatch(name)]:
            lock = _lock(workplace)
            if lock is None:
                continue
            try:
                old = workplace / _OLD
                if old.exists() and not os.path.lexists(path):
                    os.rename(old, path)
                shutil.rmtree(workplace, ignore_errors=True)
            finally:
                os.close(lock)


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
    """Yield a temporary path of the same name; move what is written there into place when the block succeeds.

    It is flushed to disk before the move, so a crash leaves the old file or the new one.

    Raises
    ------
    TargetExistsError
        The target exists and ``overwrite`` is false.
    TargetError
        The target cannot be written.
    """
    path = check_target(path, overwrite=overwrite)
    with explained(path), _workplace(path) as workplace:
        temporary = workplace / path.name
        yield temporary
        for file in (temporary, *temporary.rglob("*")):
            if file.is_file():
                with open(file, "rb") as written:
                    os.fsync(written.fileno())
        if overwrite:
            _swap(temporary, path)
        else:
            _publish(temporary, path)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary directory of the same name; move it into place when the block succeeds.

    An existing directory changes places with the new one in a single step where the system can do that (Linux, on all
    but a few file systems), and is deleted then. Elsewhere it is moved aside first: a process killed just then leaves
    nothing at ``path``, and :func:`restore` brings the old one back.

    Raises
    ------
    TargetExistsError
        The target exists and ``overwrite`` is false.
    TargetError
        The target cannot be written.
    """
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.mkdir()
        yield temporary


#: In the directory of a writer, what was at its target while the system could not exchange the two.
_OLD = "moved aside"


@contextlib.contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """Yield a new hidden directory beside ``path``, locked as long as this process lives and works in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        lock = _lock(workplace, wait=True)
        if workplace.exists():
            break
        if lock is not None:  # another process took it for a leftover before it was locked
            os.close(lock)
    try:
        yield workplace
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock(directory: Path, *, wait: bool = False) -> int | None:
    """Return a descriptor that locks a directory until it is closed; None if another has it, or nobody can."""
    if not _HAS_LOCKS:
        return None
    descriptor = None
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


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
    """Put a new file or directory in the place of what is at ``path``; a directory is then where the new one was."""
    if new.is_file() or not path.exists():
        os.replace(new, path)
        return
    if _exchange(new, path):
        return
    old = new.parent / _OLD
    try:
        os.rename(path, old)
        os.rename(new, path)
    except BaseException:  # Ctrl-C too may come between the two
        if old.exists() and not path.exists():
            os.rename(old, path)
        raise
    os.rename(old, new)  # nobody shall bring it back, half deleted, when the new one has been removed


def _exchange(new: Path, path: Path) -> bool:
    """Let two directories change places in one step; return whether system and file system can do that."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc has it since 2.28
    if renameat2 is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2(here, os.fsencode(new), here, os.fsencode(path), exchange) == 0
