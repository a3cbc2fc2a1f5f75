"""The script of faults, with few trials: nothing is lost, and what is lost is seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import faults_disk
import faults_download
import faults_kill
import numpy as np
import pytest
from click.testing import CliRunner
from faults_common import Row, Workers

import modelzoo
from modelzoo.training.checkpoints import Checkpoints
from scripts import faults

SCRIPT = Path(faults.__file__)


@pytest.mark.slow
def test_disks_that_do_not_take_it(tmp_path):
    """What needs no root, of a checkpoint and an artifact."""
    kinds = ("checkpoint", "save")
    with Workers("heavy") as workers:
        rows = list(
            faults_disk.disk_rows(
                workers,
                tmp_path,
                trials=1,
                seed=0,
                progress=lambda text: None,
                kinds=kinds,
                faults=("limit", "removed"),
            )
        )
    assert [(row.trials, row.lost) for row in rows] == [(1, [])] * 4


def test_the_script_breaks_downloads_and_tells(tmp_path):
    command = [sys.executable, str(SCRIPT), "--case", "download", "--trials", "1", "--markdown"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out.json")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| the connection is reset midway | 1 | one line says so and names the next step" in done.stdout
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert [row["fault"] for row in rows] == list(faults_download.FAULTS.values())
    assert all(row["trials"] == 1 and row["lost"] == [] for row in rows)


def test_a_loss_is_exit_status_1_and_in_the_table(monkeypatch):
    def rows(*args):
        yield Row("kill", "one fault", skipped="no root")
        row = Row("kill", "another fault")
        row.note("nothing", [])
        row.note("a hole", ["trial 1: half an artifact"])
        yield row

    monkeypatch.setattr(faults, "all_rows", rows)
    result = CliRunner().invoke(faults.main, ["--markdown"])
    assert result.exit_code == 1
    assert "| one fault | 0 | not tried: no root | – |" in result.output
    assert "| another fault | 2 | nothing (1), a hole (1) | 1 |" in result.output
    assert "Lost: trial 1: half an artifact" in result.output


def test_models_go_with_kills():
    result = CliRunner().invoke(faults.main, ["--case", "disk", "--model", "sigmoid_mlp"])
    assert result.exit_code == 2
    assert "--case kill" in result.output


def test_what_a_kill_could_lose_is_seen(tmp_path):
    model = modelzoo.create_model("sigmoid_mlp", seed=0)
    modelzoo.save(model, tmp_path / "1")
    run = faults_kill.Run.__new__(faults_kill.Run)
    run._digests = {modelzoo.weights_digest(model): "new"}
    assert run._state(tmp_path / "1") == "new"
    assert run._state(tmp_path / "2") == "absent"
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"half")
    assert run._state(tmp_path / "1").startswith("damaged")
    for step in (1, 2):
        Checkpoints(tmp_path / "c", {}).save(step, [{"step": step, "loss": 0.5}], [np.zeros(3)])
    assert run._checkpoints_lost(tmp_path / "c", 2) == []
    (tmp_path / "c" / "step-000000002.npz").write_bytes(b"half")
    assert run._checkpoints_lost(tmp_path / "c", 2) == ["the checkpoint of step 2 is lost; the newest is of 1"]


def test_what_a_download_could_leave_is_seen(tmp_path):
    files, pins = faults_download.make_files(np.random.default_rng(0))
    downloads = faults_download.Downloads.__new__(faults_download.Downloads)
    downloads._pins = pins
    (tmp_path / "fashion-mnist").mkdir()
    first, second, *_ = files
    (tmp_path / "fashion-mnist" / first).write_bytes(files[first])
    assert downloads._unverified(tmp_path, hidden=False) == []
    (tmp_path / "fashion-mnist" / second).write_bytes(files[second][:-1])
    (tmp_path / "fashion-mnist" / "tmpabc").write_bytes(b"half")
    assert len(downloads._unverified(tmp_path, hidden=True)) == 2
