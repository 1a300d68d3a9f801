"""Files are whole or not there at all, whatever the disk does."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfgm_science.errors import DataError, PfgmError
from pfgm_science.files import new_folder, read_arrays, reading, replacing, write_bytes

fuzz = settings(
    deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def listing(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_write_bytes_makes_and_replaces(tmp_path):
    target = tmp_path / "a.bin"
    write_bytes(target, b"one")
    write_bytes(str(target), b"two")
    assert target.read_bytes() == b"two"
    assert listing(tmp_path) == ["a.bin"]


def test_replacing_gives_a_name_in_the_same_folder(tmp_path):
    with replacing(tmp_path / "a.bin") as temporary:
        assert temporary.parent == tmp_path
        assert not temporary.exists()
        temporary.write_bytes(b"x")
        assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"x"


def test_replacing_keeps_mode_and_symbolic_link(tmp_path):
    real = tmp_path / "real.bin"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link = tmp_path / "link.bin"
    link.symlink_to(real)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_no_temporary(tmp_path, failure):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(failure), replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise failure
    assert target.read_bytes() == b"old"
    assert listing(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EFBIG, errno.EIO])
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch, call, code):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(PfgmError) as caught:
        write_bytes(target, b"new")
    assert str(target) in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert target.read_bytes() == b"old"
    assert listing(tmp_path) == ["a.bin"]


def test_the_size_limit_of_the_system(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    program = """
        import resource, sys
        from pfgm_science.errors import PfgmError
        from pfgm_science.files import write_bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_bytes(sys.argv[1], bytes(5000))
        except PfgmError as error:
            print(error)
            sys.exit(2)
    """
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(target)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 2, done.stderr
    assert str(target) in done.stdout
    assert "limit" in done.stdout
    assert target.read_bytes() == b"old"
    assert listing(tmp_path) == ["a.bin"]


def test_a_missing_folder_and_a_folder_in_the_way(tmp_path):
    with pytest.raises(PfgmError, match="mkdir"):
        write_bytes(tmp_path / "no" / "a.bin", b"x")
    with pytest.raises(PfgmError, match="is not a file"):
        write_bytes(tmp_path, b"x")
    with pytest.raises(PfgmError, match="is not a file"):
        write_bytes(os.devnull, b"x")
    assert listing(tmp_path) == []


def test_new_folder_appears_at_once(tmp_path):
    target = tmp_path / "out"
    with new_folder(target) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a").write_bytes(b"x")
        assert not target.exists()
    assert (target / "sub" / "a").read_bytes() == b"x"
    assert listing(tmp_path) == ["out"]


def test_new_folder_takes_an_empty_one_and_refuses_a_full_one(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    with new_folder(target) as temporary:
        (temporary / "a").write_bytes(b"x")
    with pytest.raises(PfgmError, match="not empty"), new_folder(target):
        raise AssertionError("the block must not run")
    assert listing(target) == ["a"]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PfgmError, match="a file of that name"), new_folder(tmp_path / "file"):
        raise AssertionError("the block must not run")
    with pytest.raises(PfgmError, match="mkdir"), new_folder(tmp_path / "no" / "out"):
        raise AssertionError("the block must not run")


def test_new_folder_is_removed_on_failure(tmp_path, monkeypatch):
    with pytest.raises(ValueError), new_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_bytes(b"x")
        raise ValueError

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PfgmError, match="No space"), new_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_bytes(b"x")
    assert listing(tmp_path) == []


def test_reading_names_what_is_missing(tmp_path):
    (tmp_path / "digits.csv").write_bytes(b"1")
    with pytest.raises(PfgmError, match=r"Did you mean .*digits\.csv"), reading(tmp_path / "digit.csv"):
        raise AssertionError("the block must not run")
    with pytest.raises(PfgmError, match="no folder"), reading(tmp_path / "no" / "a"):
        raise AssertionError("the block must not run")
    with pytest.raises(PfgmError, match="Permission denied"), reading(tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_read_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez(tmp_path / "a.npz", one=np.arange(3), two=np.array(["x"]))
    assert read_arrays(tmp_path / "a.npy")[""].tolist() == [0, 1, 2]
    assert {k: v.tolist() for k, v in read_arrays(tmp_path / "a.npz").items()} == {"one": [0, 1, 2], "two": ["x"]}


def test_read_arrays_never_unpickles(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy"):
        read_arrays(tmp_path / "a.npy")


def test_read_arrays_refuses_a_truncated_file(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(1000))
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:500])
    with pytest.raises(DataError, match=r"a\.npy"):
        read_arrays(tmp_path / "a.npy")


@fuzz
@given(data=st.binary(max_size=200) | st.binary(max_size=100).map(lambda b: b"\x93NUMPY\x01\x00v\x00" + b))
def test_read_arrays_raises_nothing_else(tmp_path, data):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(PfgmError):
        read_arrays(tmp_path / "a.npz")
