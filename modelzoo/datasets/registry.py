"""``load(name)`` and the decorators that register loaders; a new data set is one decorated function."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, overload

from modelzoo._checks import check_choice, check_path
from modelzoo._io import restore
from modelzoo.datasets.dataset import Dataset
from modelzoo.datasets.streaming import Stream
from modelzoo.errors import DataError, InputError, unknown_name

Loader = TypeVar("Loader", bound=Callable[..., Any])

_NAMED: dict[str, Callable[..., Dataset]] = {}
_CLASSES: dict[str, tuple[str, ...]] = {}
#: What reads paths: whether it accepts one, what it reads in words, whether it streams, and the reader.
_BY_PATH: list[tuple[Callable[[Path], bool], str, bool, Callable[..., Any]]] = []
#: Options that say where the data are and how they may be got, not which samples are wanted.
_WHERE = ("folder", "download")


@overload
def register_dataset(loader: Loader, /) -> Loader: ...
@overload
def register_dataset(*, class_names: Iterable[str]) -> Callable[[Loader], Loader]: ...
def register_dataset(loader: Any = None, /, *, class_names: Iterable[str] = ()) -> Any:
    """Register a loader under its function's name; its keyword-only parameters are the options.

    Parameters
    ----------
    loader
        The function, where the decorator is written without arguments.
    class_names
        Names of the classes, which models declared for this data set have before any training.
    """

    def register(loader: Loader) -> Loader:
        _load_builtin_datasets_before(loader)
        name = loader.__name__
        if name in _NAMED and _NAMED[name].__module__ != loader.__module__:
            raise InputError(
                f"Data set {name!r} is already registered by {_NAMED[name].__module__}. Choose another name."
            )
        _NAMED[name], _CLASSES[name] = loader, tuple(class_names)
        return loader

    return register if loader is None else register(loader)


def register_file_loader(
    accepts: Callable[[Path], bool], what: str, *, streams: bool = False
) -> Callable[[Loader], Loader]:
    """Register a loader for paths on which ``accepts`` is true; earlier registrations are asked first.

    Parameters
    ----------
    accepts
        Called with an existing path.
    what
        What it reads, in words, for the error on a path that no loader accepts.
    streams
        The loader returns a :class:`Stream`, which :func:`load` reads into memory.

    Returns
    -------
    callable
        The decorator.
    """

    def register(loader: Loader) -> Loader:
        _load_builtin_datasets_before(loader)
        _BY_PATH.append((accepts, what, streams, loader))
        return loader

    return register


@functools.cache
def _load_builtin_datasets() -> None:
    for module in ("images", "files", "mnist", "synthetic", "tfrecord"):
        importlib.import_module(f"modelzoo.datasets.{module}")


def _load_builtin_datasets_before(loader: Callable[..., Any]) -> None:
    """Let what others register come after ours: their names are taken, and paths that they read stay theirs."""
    if not loader.__module__.startswith("modelzoo.datasets."):
        _load_builtin_datasets()


def list_datasets() -> list[str]:
    """Return the names that :func:`load` knows, sorted."""
    from modelzoo.registry import load_plug_ins  # here, because reading images needs NumPy and Pillow alone

    _load_builtin_datasets()
    load_plug_ins()
    return sorted(_NAMED)


def dataset_options(name: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the options with their defaults that :func:`load` takes with a name or a path."""
    if isinstance(name, str) and name in list_datasets():
        return _options_of(_NAMED[name])
    return _options_of(_reader(_found(name)))


def dataset_classes(name: str) -> tuple[str, ...]:
    """Return the class names that a named data set was registered with, without loading it; ``()`` if none."""
    _load_builtin_datasets()
    return _CLASSES.get(name, ())


def describe_dataset(name: str) -> str:
    """Return one line on a named data set."""
    return (inspect.getdoc(_NAMED[check_choice("data set", name, list_datasets())]) or "").partition("\n")[0]


def _options_of(loader: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(loader).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def load(name: str | os.PathLike[str], /, **options: Any) -> Dataset:
    """Load a data set by name, or from a file or folder.

    Parameters
    ----------
    name
        A name from :func:`list_datasets`, or the path of an .npz file, a .csv file, a folder with one folder of
        images for each class, a directory by :func:`write_tfrecord`, or a folder with the four IDX files of MNIST's
        layout. A registered name comes first: write ``"./mnist"`` for a folder of that name.
    **options
        What this data set takes: :func:`dataset_options`, or the loader's own documentation (:func:`load_npz`,
        :func:`load_csv`, :func:`stream_images`, :func:`stream_tfrecord`).

    Returns
    -------
    Dataset
        Which unpacks as ``(x_train, y_train), (x_test, y_test)``.

    Raises
    ------
    DataError
        The data are missing or damaged.

    Examples
    --------
    >>> from modelzoo import datasets
    >>> (x_train, y_train), (x_test, y_test) = datasets.load("xor")
    >>> y_train.tolist()
    [0, 1, 1, 0]
    """
    if isinstance(name, str) and name in list_datasets():
        return _call(_NAMED[name], name, (), options)
    path = _found(name)
    data = _call(_reader(path), str(path), (path,), options)
    return data.read() if isinstance(data, Stream) else data


def stream(path: str | os.PathLike[str], /, **options: Any) -> Stream:
    """Open a data set on disk without loading it; samples are read when training wants them.

    Parameters
    ----------
    path
        A directory by :func:`write_tfrecord`, or a folder with one folder of images for each class.
    **options
        What :func:`stream_tfrecord` or :func:`stream_images` takes.

    Returns
    -------
    Stream
        To train on as on a :class:`Dataset`, with the same samples in each part.
    """
    if (found := _existing(path)) is None:
        raise DataError(f"No file or folder {path!r}. Give an existing path to stream from.")
    return _call(_reader(found, streamed=True), str(found), (found,), options)


def _found(name: Any) -> Path:
    """Return the path of what is no registered name."""
    if not isinstance(name, str | os.PathLike) or not os.fspath(name):
        raise unknown_name("data set", name, _NAMED)
    looks_like_path = isinstance(name, os.PathLike) or os.sep in name or "/" in name or Path(name).suffix
    path = _existing(name)
    if path is None and looks_like_path:
        known = ", ".join(list_datasets())
        raise DataError(f"No file or folder {os.fspath(name)!r}. Give an existing path, or a name: {known}.")
    if path is None:
        raise unknown_name("data set", name, _NAMED)
    return path


def _existing(name: str | os.PathLike[str]) -> Path | None:
    path = check_path(name, "a data set")
    if not path.exists():
        restore(path)  # a killed writer may have moved it aside
    return path if path.exists() else None


def _reader(path: Path, *, streamed: bool = False) -> Callable[..., Any]:
    """Return the loader of a path."""
    _load_builtin_datasets()
    for accepts, _, streams, reader in _BY_PATH:
        if accepts(path) and (streams or not streamed):
            return reader
    readable = "; ".join(what for _, what, streams, _ in _BY_PATH if streams or not streamed)
    if streamed:
        raise DataError(f"{path} cannot be streamed, only {readable}. Load it, or write it with write_tfrecord.")
    raise DataError(f"{path} is not a data set this can read. It reads: {readable}.")


def _call(loader: Callable[..., Any], label: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    for option in options:
        if option not in _options_of(loader):
            raise InputError(f"{label}: {unknown_name('option', option, _options_of(loader))}")
    data = loader(*args, **options)
    chosen = {key: value for key, value in options.items() if key not in _WHERE}
    return dataclasses.replace(data, options={**data.options, **_plain(chosen)}) if chosen else data


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as JSON holds them, NumPy's numbers and arrays and sets included; {} where it cannot."""
    try:
        return json.loads(json.dumps(options, default=lambda v: v.tolist() if hasattr(v, "tolist") else list(v)))
    except (TypeError, ValueError):
        return {}
