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


def test_every_error_of_the_module_is_of_the_family():
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert len(classes) >= 6
    assert all(issubclass(c, errors.ModelZooError) for c in classes)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("two_conv_cn", " Did you mean 'two_conv_cnn'?"), ("TWO_CONV_CNN", " Did you mean 'two_conv_cnn'?"), ("zzz", "")],
)
def test_unknown_name_suggests_the_closest(name, hint):
    error = errors.unknown_name("model", name, {"xor_mlp", "two_conv_cnn"})
    assert isinstance(error, errors.InputError)
    assert str(error) == f"Unknown model {name!r}.{hint} Available: two_conv_cnn, xor_mlp."


def test_unknown_name_among_none_and_odd_values():
    assert "(none)" in str(errors.unknown_name("version", 3, []))
    assert "None" in str(errors.unknown_name("model", None, ["a"]))
