"""Memory stays flat while the data grow tenfold: what scripts/streaming.py measures, with few samples."""

import pytest
import streaming
from click.testing import CliRunner


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TFRecord", "folder"])
def test_memory_stays_flat_while_the_data_grow_tenfold(kind):
    result = CliRunner().invoke(streaming.main, ["--quick", "--only", kind], catch_exceptions=False)
    rows = [line.strip("| ").replace(",", "").split(" | ") for line in result.stdout.splitlines()[2:]]
    (few, small, _), (many, large, _) = [map(int, row[1:]) for row in rows]
    assert many == 10 * few
    assert large < 1.05 * small
