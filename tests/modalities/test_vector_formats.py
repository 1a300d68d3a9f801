"""Vectors in and out: tables as other tools write them, broken ones, and round trips."""

from __future__ import annotations

import csv
import errno
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modalities.vectors.formats import read, write
from pfgm_science.errors import ConfigError, DataError, PfgmError

fuzz = settings(
    deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VALUES = np.array([[1.5, -2.0, 1e-300], [0.1, 3.0, 7.0]])


def columns(path: Path | str, label: str | None = None) -> tuple[str, ...]:
    return tuple(read(path, label=label).details["columns"])


def reasons(dataset):
    return {record.record: record.reason for record in dataset.rejected}


def saved(tmp_path, text, name="a.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", " "])
@pytest.mark.parametrize("header", [None, ["mass", "height of it", "z"]])
def test_separators_and_headers(tmp_path, delimiter, header):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow(header)
        writer.writerows(VALUES.tolist())
    dataset = read(tmp_path / "a.csv")
    assert dataset.objects.dtype == np.float64
    assert (dataset.objects == VALUES).all()
    assert dataset.rejected == ()
    assert columns(tmp_path / "a.csv") == tuple(header or ["x0", "x1", "x2"])


def test_what_numpy_writes(tmp_path):
    np.savetxt(tmp_path / "a.txt", VALUES, header="a comment, with a comma")
    assert (read(tmp_path / "a.txt").objects == VALUES).all()
    np.savetxt(tmp_path / "b.tsv", VALUES, delimiter="\t")
    assert (read(tmp_path / "b.tsv").objects == VALUES).all()
    np.savetxt(tmp_path / "c.csv", VALUES[:, :1])
    assert (read(tmp_path / "c.csv").objects == VALUES[:, :1]).all()


def test_byte_order_mark_blanks_quotes_and_line_ends(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbf"a, or b" , c\r\n\r\n 1 , "2"\r\n# note\r\n3,4')
    assert columns(tmp_path / "a.csv") == ("a, or b", "c")
    assert read(tmp_path / "a.csv").objects.tolist() == [[1, 2], [3, 4]]


def test_bad_rows_are_named_by_line(tmp_path):
    lines = ["a,b,c", "1,2,3", "1,2", "1,2,3,4", "1,x,3", "", "1,,3", "nan,2,3", "1,-inf,3", "1,1e999,3", "1,1_0,3"]
    path = saved(tmp_path, "\n".join([*lines, '1,"2,3', "4,5,6"]))
    dataset = read(path)
    assert dataset.objects.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert reasons(dataset) == {
        "row 3": "2 fields, not 3",
        "row 4": "4 fields, not 3",
        "row 5": "'x' is not a number",
        "row 7": "a cell is empty",
        "row 8": "'nan' is not finite",
        "row 9": "'-inf' is not finite",
        "row 10": "'1e999' is not finite",
        "row 11": "'1_0' is not a number",
        "row 12": "a quote is not closed on this line",
    }
    assert str(dataset.rejected[0]) == f"{path}, row 3: 2 fields, not 3"


def test_labels(tmp_path):
    path = saved(tmp_path, "a,kind,b\n1,cat,2\n3,,4\n5,dog,6\n")
    dataset = read(path, label="kind")
    assert dataset.objects.tolist() == [[1, 2], [5, 6]]
    assert dataset.condition["label"].tolist() == ["cat", "dog"]
    assert reasons(dataset) == {"row 3": "it has no label"}
    assert columns(path, label="kind") == ("a", "b")
    with pytest.raises(DataError, match="'cat' is not a number"):
        read(path)
    with pytest.raises(ConfigError, match="Did you mean 'kind'"):
        read(path, label="kinds")
    without = saved(tmp_path, "1,2,cat\n3,4,dog\n", "b.csv")
    assert read(without, label="x2").condition["label"].tolist() == ["cat", "dog"]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["3", "-1"], "i", [3, -1]),
        (["0.5", "1.0"], "f", [0.5, 1.0]),
        (["007", "1"], "U", ["007", "1"]),
        (["1", "x"], "U", ["1", "x"]),
        (["9" * 30, "1"], "U", ["9" * 30, "1"]),
    ],
)
def test_types_of_labels(tmp_path, cells, kind, values):
    path = saved(tmp_path, "a,y\n" + "".join(f"1,{cell}\n" for cell in cells))
    labels = read(path, label="y").condition["label"]
    assert labels.dtype.kind == kind
    assert labels.tolist() == values


def test_tables_that_cannot_be_used(tmp_path):
    for text, reason in [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "no row of numbers"),
        ("a,b\n1,x\n2,y\n3,z\n4,w\n", r"4 were left out:\n  .*row 2: 'x' is not a number"),
    ]:
        with pytest.raises(DataError, match=rf"a\.csv[\s\S]*{reason}|{reason}[\s\S]*a\.csv"):
            read(saved(tmp_path, text))
    with pytest.raises(DataError, match="no column beside the label"):
        read(saved(tmp_path, "y\n1\n"), label="y")
    with pytest.raises(ConfigError, match="2 columns 'y'"):
        read(saved(tmp_path, "y,y\n1,2\n"), label="y")
    with pytest.raises(PfgmError, match=r"Did you mean .*a\.csv"):
        read(tmp_path / "b.csv")
    with pytest.raises(DataError, match="no kind of file"):
        read(saved(tmp_path, "1,2", "a.xlsx"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PfgmError, match=r"folder\.csv"):
        read(tmp_path / "folder.csv")


def test_npy(tmp_path):
    for array in (VALUES, VALUES.astype(np.float32), np.array([[1, 2], [3, 4]]), np.array([[True, False]])):
        np.save(tmp_path / "a.npy", array)
        assert (read(tmp_path / "a.npy").objects == array).all()
        assert read(tmp_path / "a.npy").objects.dtype == np.float64
    assert columns(tmp_path / "a.npy") == ("x0", "x1")
    np.save(tmp_path / "a.npy", np.array([[1.0, 2.0], [np.nan, 1.0], [1.0, np.inf]]))
    assert set(reasons(read(tmp_path / "a.npy"))) == {"index 1", "index 2"}
    for wrong in (np.zeros(3), np.zeros((2, 2, 2)), np.array([["a"]]), np.array([[1j]])):
        np.save(tmp_path / "a.npy", wrong)
        with pytest.raises(DataError, match="must be numbers"):
            read(tmp_path / "a.npy")
    for empty in (np.zeros((0, 3)), np.full((2, 2), np.nan)):
        np.save(tmp_path / "a.npy", empty)
        with pytest.raises(DataError, match=r"a\.npy"):
            read(tmp_path / "a.npy")


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", VALUES)
    assert (read(tmp_path / "a.npz").objects == VALUES).all()
    np.savez(tmp_path / "b.npz", values=VALUES, labels=np.array(["u", "v"]), columns=np.array(["a", "b", "c"]))
    assert read(tmp_path / "b.npz").condition["label"].tolist() == ["u", "v"]
    assert columns(tmp_path / "b.npz") == ("a", "b", "c")
    by_column = read(tmp_path / "b.npz", label="b")
    assert by_column.condition["label"].tolist() == [-2, 3]
    assert (by_column.objects == VALUES[:, [0, 2]]).all()
    np.savez(tmp_path / "c.npz", values=VALUES, y=np.array([5, 6]))
    assert read(tmp_path / "c.npz", label="y").condition["label"].tolist() == [5, 6]
    np.savez(tmp_path / "d.npz", one=VALUES, two=VALUES)
    with pytest.raises(DataError, match=r"one.*two"):
        read(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", values=VALUES, labels=np.arange(3))
    with pytest.raises(DataError, match="2 samples"):
        read(tmp_path / "e.npz")
    np.savez(tmp_path / "f.npz", values=VALUES, columns=np.array(["a"]))
    with pytest.raises(DataError, match="1 columns for 3"):
        read(tmp_path / "f.npz")


def test_parquet(tmp_path):
    table = {"a": [1.5, None, 3.0, 4.0], "n": [1, 2, 3, 4], "kind": ["x", "y", "x", None]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    dataset = read(tmp_path / "a.parquet", label="kind")
    assert dataset.objects.tolist() == [[1.5, 1], [3, 3]]
    assert dataset.condition["label"].tolist() == ["x", "x"]
    assert reasons(dataset) == {
        "index 1": "it has values that are NaN, infinite or missing",
        "index 3": "it has no label",
    }
    assert columns(tmp_path / "a.parquet", label="kind") == ("a", "n")
    with pytest.raises(DataError, match=r"column 'kind'.*label='kind'"):
        read(tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="Did you mean 'kind'"):
        read(tmp_path / "a.parquet", label="kin")
    assert read(tmp_path / "a.parquet", label="kind").condition["label"].dtype.kind == "U"
    numbers = {"a": [2**60 + 1, 2], "b": [True, False], "y": [7, 8]}
    pyarrow.parquet.write_table(pyarrow.table(numbers), tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet").objects[:, 1].tolist() == [1, 0]
    assert read(tmp_path / "b.parquet", label="y").condition["label"].dtype == np.int64


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", VALUES)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet")
    with pytest.raises(PfgmError, match="pip install pyarrow"):
        read(tmp_path / "a.parquet")
    with pytest.raises(PfgmError, match="pip install pyarrow"):
        write(tmp_path / "a.parquet", VALUES)


finite = st.floats(allow_nan=False, allow_infinity=False)
names_strategy = st.text(min_size=1, max_size=6)


@fuzz
@given(
    values=arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=finite),
    suffix=st.sampled_from([".csv", ".tsv", ".npy", ".npz", ".parquet"]),
    data=st.data(),
)
def test_what_is_written_is_read_back(tmp_path, values, suffix, data):
    path = tmp_path / f"a{suffix}"
    count = values.shape[1]
    names = data.draw(st.none() | st.lists(names_strategy, min_size=count, max_size=count, unique=True))
    try:
        write(path, values, names)
    except ConfigError:
        names = None
        write(path, values)
    back = read(path)
    assert back.objects.tobytes() == values.tobytes()
    assert back.rejected == ()
    if suffix != ".npy":
        assert columns(path) == tuple(names or [f"x{i}" for i in range(count)])


@fuzz
@given(
    labels=st.lists(st.integers(-5, 5) | st.sampled_from(["a b", "é, 'x'", 'q"', "01"]), min_size=3, max_size=3),
    suffix=st.sampled_from([".csv", ".tsv", ".parquet", ".npz"]),
)
def test_labels_are_read_back(tmp_path, labels, suffix):
    values = np.arange(6.0).reshape(3, 2)
    path = tmp_path / f"a{suffix}"
    write(path, values, ["u", "v"], labels)
    back = read(path, label=None if suffix == ".npz" else "label")
    assert (back.objects == values).all()
    assert [str(v) for v in back.condition["label"].tolist()] == [str(v) for v in labels]


def test_what_cannot_be_written_is_refused(tmp_path):
    for wrong in (VALUES[0], VALUES[:0], np.array([["a"]]), np.array([[1.0], [np.nan]])):
        with pytest.raises(DataError):
            write(tmp_path / "a.csv", wrong)
    for names in (
        ["a", "b"],
        ["a", "a", "b"],
        ["a", "b", "label"],
        ["a", "b", " c"],
        ["a", "b\n", "c"],
        ["#a", "b", "1"],
    ):
        with pytest.raises(ConfigError):
            write(tmp_path / "a.csv", VALUES, names)
    for labels in ([1], ["a", ""], ["a", "nan"], [0.5, np.nan]):
        with pytest.raises(DataError):
            write(tmp_path / "a.csv", VALUES, labels=labels)
    with pytest.raises(DataError, match="cannot hold labels"):
        write(tmp_path / "a.npy", VALUES, labels=[1, 2])
    with pytest.raises(DataError, match=r"\.npz only"):
        write(tmp_path / "a.csv", VALUES, labels=VALUES)
    for name in ("a.xls", "a"):
        with pytest.raises(ConfigError, match="cannot be written"):
            write(tmp_path / name, VALUES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".npy", ".npz", ".parquet"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PfgmError, match=f"a{suffix}: No space left"):
        write(path, VALUES)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@fuzz
@given(
    data=st.binary(max_size=200) | st.text('0123456789.,;\t\n"#eE-+naif _', max_size=200).map(str.encode),
    name=st.sampled_from(["a.csv", "a.tsv", "a.npy", "a.npz", "a.parquet"]),
    label=st.sampled_from([None, "x0", "a"]),
)
def test_arbitrary_bytes_raise_nothing_else(tmp_path, data, name, label):
    (tmp_path / name).write_bytes(data)
    try:
        dataset = read(tmp_path / name, label=label)
    except PfgmError as error:
        assert name in str(error)
    else:
        assert np.isfinite(dataset.objects).all()
        assert dataset.objects.shape[1] == len(columns(tmp_path / name, label=label))


@fuzz
@given(
    suffix=st.sampled_from([".npy", ".npz", ".parquet"]),
    place=st.floats(0, 1, exclude_max=True),
    value=st.integers(0, 255),
)
def test_damaged_files_raise_nothing_else(tmp_path, suffix, place, value):
    path = tmp_path / f"a{suffix}"
    write(path, VALUES, ["a", "b", "c"])
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] = value
    path.write_bytes(data)
    try:
        assert np.isfinite(read(path).objects).all()
    except PfgmError as error:
        assert path.name in str(error)


def test_years_can_be_names_of_columns(tmp_path: Path) -> None:
    """A line of numbers is a row, unless the user says that it is the header, or all of it is quoted."""
    path = tmp_path / "a.csv"
    path.write_text("1990,1991\n1,2\n3,4\n")
    assert len(read(path)) == 3 and columns(path) == ("x0", "x1")
    named = read(path, header=True)
    assert len(named) == 2 and named.details["columns"] == ["1990", "1991"]
    write(tmp_path / "b.csv", named.objects, columns=named.details["columns"])
    assert (tmp_path / "b.csv").read_text().startswith('"1990","1991"\n')
    assert columns(tmp_path / "b.csv") == ("1990", "1991")
    assert len(read(path, header=False)) == 3


def test_a_line_that_is_not_text_is_rejected_and_the_encoding_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a,kind\n1,été\n2,hiver\n".encode("latin-1"))
    data = read(path, label="kind")
    assert list(data.condition["label"]) == ["hiver"]
    assert str(data.rejected[0]).endswith("row 2: it is not utf-8 text: say which it is, such as encoding=latin-1")
    assert list(read(path, label="kind", encoding="latin-1").condition["label"]) == ["été", "hiver"]
    path.write_bytes("été,b\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="the header of .*a.csv cannot be read: it is not utf-8 text"):
        read(path)
    with pytest.raises(ConfigError, match="encoding 'klingon' is not known"):
        read(path, encoding="klingon")


def test_names_of_columns_are_made_to_differ(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,a,label,,#b\n1,2,3,4,5\n")
    names = columns(path)
    assert names == ("a", "a.1", "label.1", "x3", "b")
    write(tmp_path / "b.csv", read(path).objects, columns=names)
    assert columns(tmp_path / "b.csv") == names
