"""The builders: one function for each network, each returning a plain ``keras.Model``."""

from typing import Any

from modelzoo.registry import get_spec, list_models


def __getattr__(name: str) -> Any:
    if not name.startswith("__") and name in list_models():
        return get_spec(name).builder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. Builders: {', '.join(list_models())}.")


def __dir__() -> list[str]:
    return list_models()
