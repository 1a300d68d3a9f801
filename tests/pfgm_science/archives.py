"""Small packages as pip and apt bring them, laid out as the real ones."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pfgm_science.packages import Package


def wheel(folder: Path, files: Mapping[str, bytes | str]) -> Package:
    """A wheel with these files in folder."""
    path = folder / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return _package("some", "1.0", path)


def sources(folder: Path, files: Mapping[str, bytes | str], name: str = "some") -> Package:
    """The sources of a Debian package, in one folder."""
    path = folder / f"{name}_1.0.orig.tar.gz"
    path.write_bytes(_tar({f"{name}-1.0/{member}": content for member, content in files.items()}, "gz"))
    return _package(name, "1.0-1", path)


def debian(folder: Path, files: Mapping[str, bytes | str], name: str = "some", version: str = "1.0") -> Package:
    """A Debian package: an ar archive of what dpkg-deb puts into it."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": b"odd",
        "data.tar.xz": _tar({f"./{member}": content for member, content in files.items()}, "xz"),
        "_gpgbuilder": b"what follows the data is not of it",
    }
    content = b"!<arch>\n"
    for member, body in members.items():
        content += f"{member:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode() + body
        content += b"\n" * (len(body) % 2)
    path = folder / f"{name}_{version}_all.deb"
    path.write_bytes(content)
    return _package(name, version, path)


def _tar(files: Mapping[str, bytes | str], compression: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            body = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


def _package(name: str, version: str, path: Path) -> Package:
    return Package(name, version, path.name, hashlib.sha256(path.read_bytes()).hexdigest(), "CC0")
