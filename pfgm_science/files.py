"""Files, written whole or not at all, and read with errors that name the path and say what to do."""

from __future__ import annotations

import difflib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pfgm_science.errors import DataError, PfgmError

_ADVICE = {
    errno.ENOSPC: "Free some space, or write to another disk.",
    errno.EDQUOT: "Your quota is used up: remove files, or write to another disk.",
    errno.EFBIG: "The file is larger than the limit set for this process or disk (see `ulimit -f`).",
    errno.EACCES: "Change the permissions, or use another place.",
    errno.EPERM: "Change the permissions, or use another place.",
    errno.EROFS: "The disk is read-only: use another place.",
    errno.ENOENT: "Check the spelling of the path.",
    errno.ENOTDIR: "A part of the path is a file, not a folder.",
    errno.EISDIR: "It is a folder: give the name of a file.",
    errno.ENAMETOOLONG: "Use a shorter name.",
}


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Put data at path, whole or not at all; raises PfgmError as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name in the same folder, which takes the place of path once the block has ended well.

    On any exception the temporary file is removed and what was at path stays as it was. A symbolic link is followed,
    and the mode of an existing file is kept. Raises PfgmError when the folder is missing, path is no regular
    file, or an OSError (full disk, no permission, size limit) occurs inside the block or at its end.
    """
    target = Path(os.path.realpath(path))
    _check_folder(path, target)
    if target.exists() and not target.is_file():
        raise PfgmError(f"cannot write {path}: it exists and is not a file. Give the name of a file.")
    temporary = _temporary(target)
    try:
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)
        else:
            temporary.chmod(_new_file_mode())
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    except OSError as error:
        raise _explained("write", path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside path, which becomes path once the block has ended well; otherwise it is removed.

    Raises PfgmError when path is a file or a folder that is not empty (nothing of the user's is ever mixed with what is
    written, or removed), or when an OSError occurs.
    """
    target = Path(os.path.realpath(path))
    _check_folder(path, target)
    if target.exists() and not target.is_dir():
        raise PfgmError(f"cannot write the folder {path}: a file of that name exists. Give another name.")
    temporary = _temporary(target)
    try:
        if target.is_dir() and any(target.iterdir()):
            raise PfgmError(
                f"cannot write the folder {path}: it exists and is not empty. Give another name, or empty it first."
            )
        temporary.mkdir()
        yield temporary
        if hasattr(os, "sync"):
            os.sync()  # one call for thousands of files: an fsync for each takes milliseconds a file
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    except OSError as error:
        raise _explained("write", path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The path, known to exist; an OSError inside the block becomes a PfgmError that names it and gives advice."""
    target = Path(path)
    try:
        if not target.exists():
            raise PfgmError(f"there is no file or folder {path}.{_near(target)}")
        yield target
    except OSError as error:
        raise _explained("read", path, error) from error


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a .npy file (under the name "") or of a .npz archive (under their own names), never unpickled.

    Raises DataError when the file is damaged, holds Python objects, or is neither of the two.
    """
    with reading(path) as existing:
        if existing.is_dir():
            raise DataError(f"{path} is a folder, not a .npy or .npz file.")
        with existing.open("rb") as file:
            try:
                loaded = np.load(file, allow_pickle=False)
                arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
            except Exception as error:  # NumPy, zipfile and zlib raise a dozen types on damaged bytes
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise DataError(
                    f"cannot read {path} as a NumPy file ({reason}). It must be .npy or .npz as written by numpy.save "
                    "or numpy.savez, whole, and without Python objects."
                ) from error
    return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}


def walk(root: Path) -> Iterator[Path]:
    """Files below root, in no order; symbolic links to folders are followed, each folder once."""
    seen = set()

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, followlinks=True, onerror=fail):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(folder) / name for name in files)


def hidden(name: str) -> bool:
    """Whether a file, named as in an archive, is one that programs leave behind and users do not see."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")) or name.endswith("Thumbs.db")


def _new_file_mode() -> int:
    """What the umask leaves of rw-rw-rw-; some libraries make their files private."""
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")


def _check_folder(path: str | os.PathLike[str], target: Path) -> None:
    if not target.parent.is_dir():
        raise PfgmError(f"cannot write {path}: there is no folder {target.parent}. Make it first (mkdir -p).")


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # only POSIX can open a folder
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(verb: str, path: str | os.PathLike[str], error: OSError) -> PfgmError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    advice = _ADVICE.get(error.errno or 0, "Check the free space and the permissions.")
    return PfgmError(f"cannot {verb} {path}: {reason}. {advice}")


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], 1)
    return f" Did you mean {path.with_name(near[0])}?" if near else " Check the spelling of the path."
