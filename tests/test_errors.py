"""Every deliberate error is a ModelZooError and also what a caller of Python would expect."""

from __future__ import annotations

import pytest

from modelzoo import errors
from modelzoo.training import DivergedError


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.DataError, ValueError),
        (errors.ArtifactError, ValueError),
        (errors.TargetExistsError, FileExistsError),
        (errors.TargetError, OSError),
        (DivergedError, ArithmeticError),
    ],
)
def test_family(error, builtin):
    assert issubclass(error, errors.ModelZooError)
    assert issubclass(error, builtin)
    assert str(error("one line")) == "one line"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("two_conv_cn", " Did you mean 'two_conv_cnn'?"),
        ("TWO_CONV_CNN", " Did you mean 'two_conv_cnn'?"),
        ("zzz", ""),
        (None, ""),
    ],
)
def test_unknown_name_suggests_the_closest(name, hint):
    error = errors.unknown_name("model", name, {"xor_mlp", "two_conv_cnn"})
    assert isinstance(error, errors.InputError)
    assert str(error) == f"Unknown model {name!r}.{hint} Available: two_conv_cnn, xor_mlp."
    assert "(none)" in str(errors.unknown_name("version", name, []))
