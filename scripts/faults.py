"""Repeat the tests of kills, full disks and broken downloads with other random moments, and count what is lost."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import click
from report import ROOT, Command, markdown_table, replace_between, write_text
from rich.console import Console

from modelzoo.card import describe_machine

TESTS, GUIDE = "tests/test_faults.py", ROOT / "docs" / "guide" / "faults.md"
HEADER = ["fault", "trials", "found", "lost"]


@click.command(cls=Command)
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="Trials of each fault.")
@click.option("-k", "expression", default="", help="Only the tests that match, as pytest -k: kill, disk, download.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first round.")
@click.option("--write", is_flag=True, help="Write the table between its markers in the guide.")
def main(rounds: int, expression: str, seed: int, write: bool) -> None:
    """Break what can break while modelzoo works, and print what was tried, how often, what was found and what was lost.

    The trials are the tests in tests/test_faults.py, which say what counts as lost. Exit status 1 means that something
    was lost.
    """
    outcomes: dict[str, list[tuple[str, str]]] = collections.defaultdict(list)
    with Console(stderr=True).status("") as status, tempfile.TemporaryDirectory() as directory:
        for number in range(seed, seed + rounds):
            status.update(f"round {number - seed + 1} of {rounds}")
            path = Path(directory, f"{number}.xml")
            run_tests(path, number, expression)
            for fault, found, lost in read_outcomes(path):
                outcomes[fault].append((found, lost))
    click.echo(table(outcomes))
    if write:
        machine = describe_machine()
        facts = (
            f"On {machine['cpu']}, {machine['cores']} cores, {machine['system']}, TensorFlow {machine['tensorflow']}:"
        )
        write_text(GUIDE, replace_between(GUIDE, "faults", f"{facts}\n\n{table(outcomes)}"))
    losses = [f"{fault}: {lost}" for fault, trials in outcomes.items() for _, lost in trials if lost]
    for loss in losses:
        click.echo(f"Lost: {loss}", err=True)
    sys.exit(1 if losses else 0)


def run_tests(path: Path, seed: int, expression: str) -> None:
    command = [sys.executable, "-m", "pytest", TESTS, "-m", "slow", "-k", expression, "-p", "no:randomly", "-q"]
    command += ["-o", "junit_family=xunit1", f"--junitxml={path}"]  # xunit2 has no properties of a test
    environment = {**os.environ, "MODELZOO_FAULTS_SEED": str(seed)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: tests failed
        raise click.ClickException(
            f"pytest ended with status {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}"
        )


def read_outcomes(path: Path) -> list[tuple[str, str, str]]:
    """Return fault, what was found and what was lost, one or both empty, of each test in a JUnit report."""
    outcomes = []
    for case in ET.parse(path).iter("testcase"):
        told = {entry.get("name"): entry.get("value") or "" for entry in case.iter("property")}
        failure = next((case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None)
        lost = "" if failure is None else failure.get("message") or "the test failed"
        if (skipped := case.find("skipped")) is not None:
            told["found"] = f"not tried: {skipped.get('message')}"
        outcomes.append((told.get("fault") or case.get("name") or "", told.get("found", ""), lost))
    return outcomes


def table(outcomes: dict[str, list[tuple[str, str]]]) -> str:
    """Return the table for the guide, a row for each fault."""
    rows = []
    for fault, trials in outcomes.items():
        found = collections.Counter(found for found, _ in trials if found)
        texts = [f"{text} ({count})" if len(found) > 1 else text for text, count in found.most_common()]
        lost = sum(bool(lost) for _, lost in trials)
        rows.append([fault, str(len(trials)), ", ".join(texts), str(lost or "nothing")])
    return markdown_table(HEADER, rows)


if __name__ == "__main__":
    main()
