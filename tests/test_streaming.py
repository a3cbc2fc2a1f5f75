"""The script that measures streaming: what it writes and trains on; how fast any of it is, no test says."""

from __future__ import annotations

import json

import click
import numpy as np
import pytest
import streaming
from click.testing import CliRunner

from modelzoo import datasets


def pairs(images, labels):
    return [(int(label), image.tobytes()) for image, label in zip(images, labels, strict=True)]


@pytest.mark.parametrize("source", ["tfrecord", "folder"])
def test_what_is_written_are_the_repeated_images(source, tmp_path, monkeypatch):
    x, y = datasets.load("mnist").train
    few = [(x[:30], y[:30]), (x[:30], y[:30])]
    monkeypatch.setattr(streaming, "repeated_images", lambda count: iter(few[: count // 30]))
    monkeypatch.setattr(streaming, "test_images", lambda: few[0])
    assert streaming.write(source, 60, str(tmp_path / "images"))["peak"] > 0
    stream = datasets.stream(tmp_path / "images")
    assert (len(stream.train), len(stream.test)) == (60, 30)
    for samples, times in ((stream.train, 2), (stream.test, 1)):
        assert sorted(pairs(*samples[:])) == sorted(pairs(*few[0]) * times)


def test_images_are_repeated_in_order():
    x, _ = datasets.load("mnist").train
    sizes, last = [], None
    for images, labels in streaming.repeated_images(61_500):
        sizes.append(len(images))
        last = images
        assert len(images) == len(labels)
    assert sizes == [1000] * 61 + [500]
    np.testing.assert_array_equal(last, x[1000:1500])


def test_script_measures_both_tables(monkeypatch):
    """With few numbers, and in this process, which has imported TensorFlow already."""

    def run(task):
        result = CliRunner().invoke(streaming.main, ["--task", json.dumps(task)], catch_exceptions=False)
        return json.loads(result.stdout.splitlines()[-1])

    monkeypatch.setattr(streaming, "run", run)
    monkeypatch.setattr(streaming, "SOURCES", dict.fromkeys(("arrays", "tfrecord"), (10_000,)))
    monkeypatch.setattr(streaming, "POINTS", (500,))
    monkeypatch.setattr(streaming, "CHUNK", 5)
    monkeypatch.setattr(streaming, "POINTS_SEEN", 10_000)
    result = CliRunner().invoke(streaming.main, ["--quick", "--markdown"], catch_exceptions=False)
    assert result.exit_code == 0
    rows = [line.strip("| ").split(" | ") for line in result.stdout.splitlines() if line.startswith("|")]
    measured = {row[0]: row[1:] for row in rows if not row[0].startswith(("read from", "batch", "---"))}
    assert [*measured] == [streaming.NAMES["arrays"], streaming.NAMES["tfrecord"], "full", "100"]
    for values in measured.values():
        assert values[0] in ("1,000", "500")
        assert all(float(value.replace(",", "")) > 0 for value in values)


def test_a_run_that_fails_says_why():
    with pytest.raises(click.ClickException, match=r"ended with status 1:(.|\n)*KeyError: 'nothing'"):
        streaming.run({"do": "nothing"})
