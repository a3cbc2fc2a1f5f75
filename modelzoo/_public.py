"""How a package offers its public names: loaded on first use, and with errors for keywords that do not exist."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import lazy_loader

from modelzoo.errors import unknown_name


def attach_stub(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package whose names its stub lists."""
    load, list_names, names = lazy_loader.attach_stub(package, file)

    def find(name: str) -> Any:
        value = load(name)
        if inspect.isfunction(value):
            value = checked(value, package)
            if name in vars(sys.modules[package]):  # lazy_loader leaves names there that are modules as well
                setattr(sys.modules[package], name, value)
        return value

    return find, list_names, names


@functools.cache
def checked(function: Callable[..., Any], package: str) -> Callable[..., Any]:
    """Return a function that answers an unknown keyword with InputError and the closest name."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return function  # it says itself what it takes
    names = [parameter.name for parameter in parameters if parameter.kind is not parameter.POSITIONAL_ONLY]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in names:
                raise unknown_name(f"argument of {function.__name__}", name, names)
        return function(*args, **kwargs)

    call.__module__ = package  # where pickle finds it
    return call
