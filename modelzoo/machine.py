"""What a result depends on besides code, data and seed: the processor and the versions of the arithmetic under it."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PACKAGES = ("tensorflow", "keras", "numpy", "modelzoo")


def describe_machine() -> dict[str, Any]:
    """Return the processor, the cores this process may use, the system and the versions of the packages.

    Returns
    -------
    dict
        ``cpu``, ``cores``, ``system``, ``python``, and a version for each of ``tensorflow``, ``keras``, ``numpy`` and
        ``modelzoo``; ready for JSON.
    """
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def usable_cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> float:
    """Return the size of this machine's memory, infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return math.inf


def machine_differences(recorded: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """Return where a recorded machine and this one differ in what can change the last bit of a float32 result.

    Parameters
    ----------
    recorded
        What :func:`describe_machine` returned then, or ``None`` where nothing was recorded.

    Returns
    -------
    dict
        ``(recorded value, value here)`` for each of ``cpu``, ``cores``, ``system``, ``tensorflow``, ``keras``,
        ``numpy`` and ``modelzoo`` that differ, and for ``replicas`` where there were several; empty on the same kind of
        machine.
    """
    recorded, here = recorded or {}, describe_machine()
    deciding = ("cpu", "cores", "system", *_PACKAGES)
    differing = {key: (recorded.get(key), here[key]) for key in deciding if recorded.get(key) != here[key]}
    if recorded.get("replicas", 1) != 1:  # several replicas sum in another order than one
        differing["replicas"] = (recorded["replicas"], 1)
    return differing


def _cpu() -> str:
    """Return the processor's name; virtual machines hide the generation there, so its numbers go with it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or "unknown"
    numbers = [f"{key.removeprefix('cpu ')} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return ", ".join([name, *numbers])


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return "unknown"
