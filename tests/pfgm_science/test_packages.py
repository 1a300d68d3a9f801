"""Files inside of other people's packages: read in place, in one pass, and only with the right checksum."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import debian, sources, wheel

from pfgm_science.errors import DataError, PfgmError
from pfgm_science.packages import CACHE_VARIABLE, Package, _built_for, _Part

FILES = {"usr/share/b/one.ogg": b"\x00\xff" * 70_001, "usr/share/a.txt": b"here", "usr/share/b/two.ogg": b""}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "")  # nothing is fetched


@pytest.mark.parametrize("kind", [wheel, sources, debian])
def test_a_member_of_a_package_is_read_in_place(kind: Callable[..., Package], tmp_path: Path) -> None:
    package = kind(tmp_path, FILES)
    assert {name: package.member(name) for name in FILES} == FILES
    with pytest.raises(DataError, match=r"holds no usr/share/c: it is not of some 1\.0"):
        package.member("usr/share/c")
    with pytest.raises(DataError, match="holds no a.txt"):
        package.member("a.txt")


@pytest.mark.parametrize("kind", [wheel, sources, debian])
def test_members_come_in_the_order_of_the_package(kind: Callable[..., Package], tmp_path: Path) -> None:
    package = kind(tmp_path, FILES)
    assert list(package.members("*")) == list(FILES.items())
    assert [name for name, _ in package.members("usr/*.ogg")] == ["usr/share/b/one.ogg", "usr/share/b/two.ogg"]
    assert list(package.members("usr/share/?.txt")) == [("usr/share/a.txt", b"here")]
    with pytest.raises(DataError, match=r"holds no \*.wav"):
        next(package.members("*.wav"))


@pytest.mark.parametrize("kind", [wheel, sources, debian])
def test_members_can_be_left_before_the_last(kind: Callable[..., Package], tmp_path: Path) -> None:
    members = kind(tmp_path, FILES).members("*")
    assert next(members)[0] == "usr/share/b/one.ogg"
    members.close()  # type: ignore[attr-defined]
    assert list(members) == []


def test_a_debian_package_without_data_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "odd_1.0_all.deb"
    for content in (
        b"",
        b"something else",
        b"!<arch>\n",
        b"!<arch>\n" + f"{'data.zip':<48}{4:<10}`\n".encode() + b"12",
    ):
        path.write_bytes(content)
        package = Package("odd", "1.0", path.name, hashlib.sha256(content).hexdigest(), "CC0")
        with pytest.raises(DataError, match="holds no a: it is not of odd"):
            package.member("a")


def test_a_part_of_a_file_ends_where_it_should(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(bytes(range(20)))
    with path.open("rb") as file:
        file.seek(3)
        part = _Part(file, 7)
        assert [part.read(4), part.read(4), part.read(4)] == [bytes(range(3, 7)), bytes(range(7, 10)), b""]
        file.seek(3)
        assert _Part(file, 7).read() == bytes(range(3, 10))


@pytest.mark.parametrize("kept", ["some_2%3a1.0~b_all.deb", "some_2%3A1.0%7eb_all.deb", "some_2:1.0~b_all.deb"])
def test_a_file_is_found_by_the_name_that_apt_or_a_browser_gave_it(kept: str, tmp_path: Path) -> None:
    package = debian(tmp_path, FILES, version="2:1.0~b")
    assert package.file == "some_2:1.0~b_all.deb"
    (tmp_path / package.file).rename(tmp_path / kept)
    assert package.member("usr/share/a.txt") == b"here"


def test_a_package_with_another_checksum_is_refused_and_taken_away(tmp_path: Path) -> None:
    package = wheel(tmp_path, FILES)
    (tmp_path / package.file).write_bytes(b"something else")
    with pytest.raises(DataError, match=r"its checksum is another.*put the file some-1.0"):
        next(package.members("*"))
    assert not (tmp_path / package.file).exists()


def test_a_package_that_cannot_be_fetched_says_which_file_to_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    for kind, reason in (
        (wheel, r"pip could .* put the file some-1.0-py3-none-any.whl into .*PFGM_CACHE"),
        (debian, r"apt-get could .* put the file some_1.0_all.deb into .*PFGM_CACHE"),
        (sources, r"deb-src lines .* or the file some_1.0.orig.tar.gz in .*PFGM_CACHE"),
    ):
        package = kind(tmp_path, FILES)
        (tmp_path / package.file).unlink()
        with pytest.raises(PfgmError, match=reason):
            package.member("usr/share/a.txt")
        with pytest.raises(PfgmError, match=reason):
            list(package.members("*"))


def test_pip_is_asked_for_the_very_wheel() -> None:
    assert _built_for("some-1.0-py3-none-any.whl") == []
    words = _built_for("some-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl")
    asked = dict(zip(words[::2], words[1::2], strict=True))
    assert asked == {
        "--implementation": "cp",
        "--python-version": "311",
        "--abi": "cp311",
        "--platform": "manylinux2014_x86_64",
    }
