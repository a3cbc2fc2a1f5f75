"""Files and directories are complete or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat

import pytest

from modelzoo.errors import TargetError, TargetExistsError
from modelzoo.files import atomic_directory, atomic_file, check_target, sha256_of


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, (1 << 20) + 1])
def test_sha256(size, tmp_path):
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    assert sha256_of(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a" / "b" / "f.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent, "a move between file systems is not atomic"
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
    with pytest.raises(TargetError, match=r"Cannot write .*f\.txt: No space left") as caught:  # noqa: SIM117
        with atomic_file(tmp_path / "f.txt"):
            raise OSError(28, "No space left on device")
    assert "\n" not in str(caught.value)
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


def test_directory_replaces_the_old_one_whole(tmp_path):
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
        if str(destination) == str(target) and ".tmp" in str(source):
            raise OSError(5, "Input/output error")
        real(source, destination)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(TargetError, match="Input/output error"), atomic_directory(target, overwrite=True) as temporary:
        (temporary / "new").write_text("y")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["d", "d/old"]


def test_modes_are_those_of_open_and_mkdir(tmp_path):
    with atomic_file(tmp_path / "f") as temporary:
        temporary.write_text("x")
    with atomic_directory(tmp_path / "d"):
        pass
    (tmp_path / "g").write_text("x")
    (tmp_path / "e").mkdir()
    for ours, usual in (("f", "g"), ("d", "e")):
        assert stat.S_IMODE((tmp_path / ours).stat().st_mode) == stat.S_IMODE((tmp_path / usual).stat().st_mode)
