"""SIGKILL at random moments, then resume: the artifacts and the weights of the run that nothing disturbed, bit for bit.

The trials are those of ``scripts/faults.py``, a few of them.
"""

from __future__ import annotations

import pytest
from faults_common import Workers
from faults_kill import MODELS, PHASES, kill_rows


@pytest.fixture(scope="module")
def workers():
    with Workers("heavy") as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_killed_and_resumed_equals_uninterrupted(name, workers, tmp_path):
    trials = len(PHASES) if name == "sigmoid_mlp" else 1  # what differs between networks is the state of training
    rows = list(kill_rows(name, workers, tmp_path, trials=trials, seed=0, progress=lambda text: None, swaps=False))
    assert [row.lost for row in rows] == [[]] * len(PHASES)
    assert sum(row.trials for row in rows) == trials
