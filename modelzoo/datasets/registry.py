"""``load(name)`` and the decorators that register loaders; a new data set is one decorated function."""

from __future__ import annotations

import copy
import inspect
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modelzoo._io import restore
from modelzoo.datasets.dataset import Dataset
from modelzoo.errors import DataError, InputError, unknown_name

if TYPE_CHECKING:
    from modelzoo.datasets.streaming import Stream

Loader = TypeVar("Loader", bound=Callable[..., Any])

_NAMED: dict[str, Callable[..., Dataset]] = {}
#: Options that say where the data are and how they may be got, not which samples are wanted.
_WHERE = ("folder", "download", "max_bytes")
_ByPath = list[tuple[Callable[[Path], bool], str, Callable[..., Any]]]
_BY_PATH: _ByPath = []
_STREAMS: _ByPath = []


def register_dataset(loader: Loader) -> Loader:
    """Register a loader under its function's name; its keyword-only parameters are the options.

    Raises
    ------
    InputError
        The name is taken by another function.
    """
    name = loader.__name__
    known = _NAMED.get(name)
    if known is not None and known.__module__ != loader.__module__:
        raise InputError(f"Data set {name!r} is already registered by {known.__module__}. Choose another name.")
    _NAMED[name] = loader
    return loader


def register_file_loader(accepts: Callable[[Path], bool], what: str) -> Callable[[Loader], Loader]:
    """Register a loader for paths on which ``accepts`` is true; earlier registrations are asked first.

    Parameters
    ----------
    accepts
        Called with an existing path.
    what
        What it reads, in words, for the error on a path that no loader accepts.

    Returns
    -------
    callable
        The decorator.
    """

    def register(loader: Loader) -> Loader:
        _BY_PATH.append((accepts, what, loader))
        return loader

    return register


def register_stream(accepts: Callable[[Path], bool], what: str) -> Callable[[Loader], Loader]:
    """Register what opens paths for :func:`stream`, as :func:`register_file_loader` does for :func:`load`."""

    def register(reader: Loader) -> Loader:
        _STREAMS.append((accepts, what, reader))
        return reader

    return register


def list_datasets() -> list[str]:
    """Return the names that :func:`load` knows, sorted."""
    return sorted(_NAMED)


def dataset_options(name: str) -> dict[str, Any]:
    """Return the options of a named data set with their defaults.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name not in _NAMED:
        raise unknown_name("data set", name, _NAMED)
    return _options_of(_NAMED[name])


def describe_dataset(name: str) -> str:
    """Return one line on a named data set.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name not in _NAMED:
        raise unknown_name("data set", name, _NAMED)
    return (inspect.getdoc(_NAMED[name]) or "").partition("\n")[0]


def _options_of(loader: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(loader).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _call(loader: Callable[..., Any], label: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    allowed = _options_of(loader)
    for option in options:
        if option not in allowed:
            error = unknown_name("option", option, allowed)
            raise InputError(f"{label}: {error}")
    options = {key: tuple(value) if isinstance(value, Iterator) else value for key, value in options.items()}
    dataset = loader(*args, **options)
    chosen = _plain({key: value for key, value in options.items() if key not in _WHERE})
    if not chosen:
        return dataset
    dataset = copy.copy(dataset)  # loaders may share one Dataset between callers
    object.__setattr__(dataset, "options", chosen)
    return dataset


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as JSON holds them; none where JSON cannot."""

    def plain(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else list(value)  # NumPy's numbers and arrays; sets

    try:
        return json.loads(json.dumps(options, default=plain))
    except (TypeError, ValueError):
        return {}


def load(name: str | os.PathLike[str], /, **options: Any) -> Dataset:
    """Load a data set by name, or from a file or folder.

    Parameters
    ----------
    name
        A name from :func:`list_datasets`, or the path of an .npz file, a .csv file, a folder with one folder of
        images for each class, or a folder with the four IDX files of MNIST's layout. A registered name comes first:
        write ``"./mnist"`` for a folder of that name.
    **options
        What this data set takes: :func:`dataset_options`, or the loader's own documentation
        (:func:`load_npz`, :func:`load_csv`, :func:`load_folder`, :func:`load_idx_folder`).

    Returns
    -------
    Dataset
        Which unpacks as ``(x_train, y_train), (x_test, y_test)``.

    Raises
    ------
    InputError
        The name or an option is unknown, or an option's value is not usable.
    DataError
        The data are missing or not usable.

    Examples
    --------
    >>> from modelzoo import datasets
    >>> (x_train, y_train), (x_test, y_test) = datasets.load("xor")
    >>> y_train.tolist()
    [0, 1, 1, 0]
    """
    if isinstance(name, str) and name in _NAMED:
        return _call(_NAMED[name], name, (), options)
    if not isinstance(name, (str, os.PathLike)) or not os.fspath(name):
        raise unknown_name("data set", name, _NAMED)
    path = _existing(name)
    if path is not None:
        return _open(path, _BY_PATH, options)
    text = os.fspath(name)
    if isinstance(name, os.PathLike) or os.sep in text or "/" in text or Path(text).suffix:
        raise DataError(f"No file or folder {text!r}. Give an existing path, or a name: {', '.join(list_datasets())}.")
    raise unknown_name("data set", name, _NAMED)


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
        To train on as on a :class:`Dataset`: both give the same batches.

    Raises
    ------
    InputError
        An option is unknown, or its value is not usable.
    DataError
        The data are missing or not usable, or of a kind that is loaded whole.
    """
    if not isinstance(path, (str, os.PathLike)) or (found := _existing(path)) is None:
        raise DataError(f"No file or folder {path!r}. Give an existing path to stream from.")
    return _open(found, _STREAMS, options)


def _existing(name: str | os.PathLike[str]) -> Path | None:
    path = Path(os.fspath(name)).expanduser()
    try:
        if not path.exists():
            restore(path)  # a killed writer may have moved it aside
        return path if path.exists() else None
    except (OSError, ValueError):  # a name too long for a path, or one with a NUL
        return None


def _open(path: Path, readers: _ByPath, options: dict[str, Any]) -> Any:
    for accepts, _, reader in readers:
        if accepts(path):
            return _call(reader, str(path), (path,), options)
    readable = "; ".join(what for _, what, _ in readers)
    if readers is _STREAMS and any(accepts(path) for accepts, _, _ in _BY_PATH):
        raise DataError(
            f"{path} cannot be streamed, only loaded whole. These can: {readable}. Write batches of it with "
            "write_tfrecord."
        )
    raise DataError(f"{path} is not a data set this can read. It reads: {readable}.")
