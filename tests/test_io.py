"""Files and directories are complete or absent."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from modelzoo import _io
from modelzoo._io import atomic_directory, atomic_file, check_target, restore
from modelzoo.errors import TargetError, TargetExistsError


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a" / "b" / "f.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent.parent == path.parent, "a move between file systems is not atomic"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["f.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "f.txt"
    path.write_text("old")

    def write():
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f.txt"]


def test_os_errors_become_one_clear_line(tmp_path):
    with pytest.raises(TargetError, match=r"Cannot write .*f\.txt: No space left"):  # noqa: SIM117
        with atomic_file(tmp_path / "f.txt"):
            raise OSError(28, "No space left on device")
    (tmp_path / "file").write_text("x")
    with pytest.raises(TargetError, match="Cannot write"), atomic_file(tmp_path / "file" / "f"):
        pass
    with pytest.raises(TargetError, match="Cannot write"), atomic_directory(tmp_path / "file" / "d"):
        pass


def test_existing_targets_need_overwrite(tmp_path):
    (tmp_path / "f").write_text("old")
    (tmp_path / "d").mkdir()
    for context in (atomic_file(tmp_path / "f", overwrite=False), atomic_directory(tmp_path / "d")):
        with pytest.raises(TargetExistsError, match="exists"), context:
            pytest.fail("must not get here")
    assert (tmp_path / "f").read_text() == "old"
    assert check_target(tmp_path / "f", overwrite=True) == tmp_path / "f"
    assert check_target(str(tmp_path / "new"), overwrite=False) == tmp_path / "new"


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_appears_meanwhile_is_kept(kind, tmp_path):
    target = tmp_path / "target"

    def write():
        with atomic_file(target, overwrite=False) if kind == "file" else atomic_directory(target) as temporary:
            (temporary if kind == "file" else temporary / "f").write_text("mine")
            if kind == "directory":
                target.mkdir()
            (target if kind == "file" else target / "f").write_text("another's")

    with pytest.raises(TargetExistsError, match="another process"):
        write()
    assert (target if kind == "file" else target / "f").read_text() == "another's"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EIO])
def test_file_systems_without_hard_links(code, tmp_path, monkeypatch):
    def link(*args):
        raise OSError(code, "no links")

    monkeypatch.setattr(os, "link", link)
    expected = contextlib.nullcontext() if code == errno.EPERM else pytest.raises(TargetError, match="no links")
    with expected, atomic_file(tmp_path / "f", overwrite=False) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "f").exists() == (code == errno.EPERM)


@pytest.fixture(params=["exchange", "two renames"])
def swap(request, monkeypatch):
    """How an old directory is replaced: in one step, or as systems do that cannot."""
    if request.param == "two renames":
        monkeypatch.setattr(_io, "_exchange", lambda new, path: False)
    return request.param


def test_directory_replaces_the_old_one_whole(swap, tmp_path):
    target = tmp_path / "d"
    target.mkdir()
    (target / "old").write_text("x")
    with atomic_directory(target, overwrite=True) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "new").write_text("y")
        assert (target / "old").exists()
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["d", "d/sub", "d/sub/new"]


def test_failed_swap_brings_the_old_directory_back(tmp_path, monkeypatch):
    target = tmp_path / "d"
    target.mkdir()
    (target / "old").write_text("x")
    real = os.rename

    def rename(source, destination):
        if str(destination) == str(target) and _io._OLD not in str(source):
            raise OSError(5, "Input/output error")
        real(source, destination)

    monkeypatch.setattr(_io, "_exchange", lambda new, path: False)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(TargetError, match="Input/output error"), atomic_directory(target, overwrite=True) as temporary:
        (temporary / "new").write_text("y")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["d", "d/old"]


#: Kills a fork of itself at each moment of the swap, before the step of that number; says so after each.
KILLED = """
import os, signal, sys
from pathlib import Path
from modelzoo import _io

def counted(function):
    def call(*arguments, **options):
        global moment
        if moment == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        moment -= 1
        return function(*arguments, **options)
    return call

target, one_step = Path(sys.argv[1]), sys.argv[2] == "exchange"
for number in range(14):
    moment = number % 7
    if (child := os.fork()) == 0:
        _io._exchange = _io._exchange if one_step else lambda new, path: False
        with _io.atomic_directory(target, overwrite=True) as temporary:
            (temporary / "f").write_text("new")
            for name in ("rename", "rmdir", "unlink"):
                setattr(os, name, counted(getattr(os, name)))
            _io._exchange = counted(_io._exchange) if one_step else _io._exchange
        os.kill(os.getpid(), signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
    sys.stdin.readline()
"""


def test_sigkill_at_each_step_of_the_swap(swap, tmp_path):
    """What is at the target is the old directory or the new one; with two renames it may have to be brought back."""
    target, absent = tmp_path / "d", 0
    target.mkdir()
    (target / "f").write_text("old")
    command = [sys.executable, "-c", KILLED, str(target), swap]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for number in range(14):
            moment = number % 7
            assert int(process.stdout.readline()) == signal.SIGKILL
            absent += not target.exists()
            if number < 7:  # later the next writer finds what was left
                restore(target)
                assert [p.name for p in tmp_path.iterdir()] == ["d"]
                assert (target / "f").read_text() == ("old" if moment < (1 if swap == "exchange" else 2) else "new")
            with atomic_directory(target, overwrite=True) as temporary:
                (temporary / "f").write_text("old")
            assert (target / "f").read_text() == "old"
            assert [p.name for p in tmp_path.iterdir()] == ["d"]
            process.stdin.write("\n")
            process.stdin.flush()
    assert absent == (0 if swap == "exchange" else 2)


@pytest.mark.parametrize("atomic", [atomic_file, atomic_directory])
def test_a_writer_leaves_another_one_that_lives_alone(atomic, tmp_path):
    def write(temporary, text):
        (temporary if atomic is atomic_file else temporary / "f").write_text(text)

    with atomic(tmp_path / "t", overwrite=True) as first:
        write(first, "first")
        with atomic(tmp_path / "t", overwrite=True) as second:
            write(second, "second")
        restore(tmp_path / "t")
        assert first.exists()
    assert (tmp_path / "t" if atomic is atomic_file else tmp_path / "t" / "f").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_only_leftovers_of_this_target_are_deleted(tmp_path):
    others = [".t.tmp", ".t.abc.tmp", ".t.abcdefgh.old", ".t.2.abcdefgh.tmp", ".tx.abcdefgh.tmp", "t.abcdefgh.tmp"]
    for name in [*others, ".t.abcdefgh.tmp"]:
        (tmp_path / name).mkdir()
    restore(tmp_path / "t")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(others)
    (tmp_path / "mine" / _io._OLD).mkdir(parents=True)
    (tmp_path / ".t.abcdefgh.tmp").symlink_to(tmp_path / "mine")
    restore(tmp_path / "t")
    assert (tmp_path / "mine" / _io._OLD).is_dir()
    restore(tmp_path / "absent" / "t")
    assert not (tmp_path / "absent").exists()


def test_modes_are_those_of_open_and_mkdir(tmp_path):
    with atomic_file(tmp_path / "f") as temporary:
        temporary.write_text("x")
    with atomic_directory(tmp_path / "d"):
        pass
    (tmp_path / "g").write_text("x")
    (tmp_path / "e").mkdir()
    f, g, d, e = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "fgde")
    assert (f, d) == (g, e)
