"""The contract of a registered network, as tests for pytest: a plug-in runs it in one line.

``TestMyNet = modelzoo.testing.contract_tests("my_net")`` in a test file is all it takes; ``my_net`` is registered by
an entry point of the group ``modelzoo.models``, or by an import in that file.
"""

import pytest

pytest.register_assert_rewrite("modelzoo.testing.contract")  # an assertion that fails shows its values

from modelzoo.testing.contract import NONSENSE, Contract, contract_tests  # noqa: E402 (after that)

__all__ = ["NONSENSE", "Contract", "contract_tests"]
