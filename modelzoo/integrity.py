"""SHA-256 of files, and whether a directory holds exactly the files of a list of hashes, unchanged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from modelzoo.errors import ArtifactError


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def hash_files(directory: Path, *, leave_out: str) -> dict[str, str]:
    """Return the SHA-256 of each file of a directory tree but one, by its POSIX path."""
    return {name: sha256_of(directory / name) for name in _files(directory) if name != leave_out}


def check_files(directory: Path, hashes: Mapping[str, str], *, leave_out: str) -> None:
    """Raise ArtifactError unless a directory holds the files of those hashes, and no other but one."""
    present = set(_files(directory)) - {leave_out}
    for name, digest in sorted(hashes.items()):
        if name not in present:
            raise ArtifactError(f"{directory}: the file {name} is missing. Export or copy the artifact again.")
        if sha256_of(directory / name) != digest:
            raise ArtifactError(f"{directory}: the file {name} was altered. Export or copy the artifact again.")
    for name in sorted(present - hashes.keys()):
        raise ArtifactError(f"{directory}: the file {name} is not part of the artifact. Remove it.")


def _files(directory: Path) -> list[str]:
    """Return the files of a directory tree as POSIX paths, refusing symbolic links, pipes and devices."""
    names = []
    for parent, folders, files in os.walk(directory):
        for name in [*folders, *files]:
            if (Path(parent) / name).is_symlink():
                raise ArtifactError(f"{directory}: {name} is a symbolic link, which no artifact has. Remove it.")
            if name in files and not (Path(parent) / name).is_file():
                raise ArtifactError(f"{directory}: {name} is a pipe, a socket or a device. Remove it.")
        names += [str(PurePosixPath((Path(parent) / name).relative_to(directory))) for name in files]
    return sorted(names)
