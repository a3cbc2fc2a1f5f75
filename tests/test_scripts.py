"""The demonstration, the table of faults, and the memory that streaming takes."""

import os
import re

import demo
import faults
import pytest
import streaming
from click.testing import CliRunner


@pytest.mark.slow
def test_demo_says_what_it_does_and_nothing_else(tmp_path, python):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"} | {
        "COLUMNS": "80",
        "PYTHONIOENCODING": "ascii:strict",  # a terminal that lacks most characters
    }
    done = python(demo.__file__, "--steps", 20, "--output", tmp_path, env=environment)
    for text in ("The zoo", "Training two_conv_cnn", "Test accuracy", "Exporting", "The export says", "demo.png"):
        assert text in done.stdout
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    shown = [line for line in done.stderr.splitlines() if line.strip()]
    assert [line for line in shown if not re.match(r"step +20 ", line)] == []  # progress, no C++ log
    assert max(map(len, shown)) <= 80


REPORT = """<testsuites><testsuite>
<testcase name="a"><properties>
<property name="fault" value="the disk is full"/><property name="found" value="one line"/>
</properties></testcase>
<testcase name="b">
<properties><property name="fault" value="the disk is full"/></properties><failure message="a byte"/>
</testcase>
<testcase name="c">
<properties><property name="fault" value="no root"/></properties><skipped message="needs root"/>
</testcase>
</testsuite></testsuites>"""


def test_losses_and_skipped_faults_are_in_the_table(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    outcomes = faults.read_outcomes(tmp_path / "report.xml")
    assert outcomes == [
        ("the disk is full", "one line", ""),
        ("the disk is full", "", "a byte"),
        ("no root", "not tried: needs root", ""),
    ]
    rows = faults.table({"the disk is full": [("one line", ""), ("", "a byte")]}).splitlines()
    assert rows[2] == "| the disk is full | 2 | one line | 1 |"


@pytest.mark.slow
def test_faults_are_tried_and_counted(python):
    done = python(faults.__file__, "-k", "download and 404")
    assert "| the server answers 404 | 1 | one line says so" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TFRecord", "folder"])
def test_memory_stays_flat_while_the_data_grow_tenfold(kind):
    """What the script measures, with few samples."""
    result = CliRunner().invoke(streaming.main, ["--quick", "--only", kind], catch_exceptions=False)
    rows = [line.strip("| ").replace(",", "").split(" | ") for line in result.stdout.splitlines()[2:]]
    (few, small, _), (many, large, _) = [map(int, row[1:]) for row in rows]
    assert many == 10 * few
    assert large < 1.05 * small
