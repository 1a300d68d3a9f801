"""Images in and out: files as other tools write them, broken ones, and round trips."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from modalities.images.formats import Record, decode, read, stream, write
from pfgm_science.errors import BadRecord, ConfigError, DataError, PfgmError

fuzz = settings(
    deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
random = np.random.default_rng(0)


def grey(height=6, width=5):
    return random.integers(0, 256, (height, width), dtype=np.uint8)


def colour(height=6, width=5):
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels, form="PNG", **options):
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, form, **options)
    return buffer.getvalue()


def reasons(dataset):
    return {record.record or os.path.basename(record.file): record.reason for record in dataset.rejected}


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_folder_of_lossless_files(tmp_path, form):
    suffix = {"TIFF": "tif"}.get(form, form.lower())
    images = [colour() for _ in range(3)]
    for index, pixels in enumerate(images):
        (tmp_path / f"{index}.{suffix}").write_bytes(encoded(pixels, form))
    dataset = read(tmp_path)
    assert dataset.objects.dtype == np.uint8
    assert (dataset.objects == np.stack(images)).all()
    assert dataset.condition == {}
    assert dataset.rejected == ()
    assert dataset.source == str(tmp_path)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_lossy_file_is_close(tmp_path, form):
    flat = np.full((16, 16, 3), 90, np.uint8)
    (tmp_path / f"a.{form.lower()}").write_bytes(encoded(flat, form))
    assert np.abs(read(tmp_path).objects.astype(int) - 90).max() <= 3


def test_sub_folders_are_classes(tmp_path):
    for name in ("dog/1.png", "cat/2.png", "cat/deep/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded(grey()))
    (tmp_path / "loose.png").write_bytes(encoded(grey()))
    dataset = read(tmp_path)
    assert dataset.condition["label"].tolist() == ["cat", "cat", "dog"]
    assert reasons(dataset) == {"loose.png": "it lies in no class folder, others do"}


def test_linked_class_folders_are_followed_once(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(encoded(grey()))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "cat").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "root")
    assert read(tmp_path / "root").condition["label"].tolist() == ["cat"]


def edm_zip(path, images, labels, **more):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        names = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(images))]
        for name, pixels in zip(names, images, strict=True):
            archive.writestr(name, encoded(pixels))
        pairs = None if labels is None else [[n, v] for n, v in zip(names, labels, strict=True)]
        archive.writestr("dataset.json", json.dumps({"labels": pairs, **more}))


def test_edm_zip(tmp_path):
    images = [colour() for _ in range(4)]
    edm_zip(tmp_path / "a.zip", images, [3, 0, 3, 1])
    dataset = read(tmp_path / "a.zip")
    assert (dataset.objects == np.stack(images)).all()
    assert dataset.condition["label"].tolist() == [3, 0, 3, 1]
    assert dataset.condition["label"].dtype == np.int64
    edm_zip(tmp_path / "b.zip", images, None)
    assert read(tmp_path / "b.zip").condition == {}
    edm_zip(tmp_path / "c.zip", images, [[0.5, 1.0]] * 4)
    assert read(tmp_path / "c.zip").condition["label"].tolist() == [[0.5, 1.0]] * 4


def test_edm_folder_is_the_unpacked_zip(tmp_path):
    edm_zip(tmp_path / "a.zip", [colour(), colour()], [1, 2])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "a")
    assert (read(tmp_path / "a").objects == read(tmp_path / "a.zip").objects).all()
    assert read(tmp_path / "a").condition["label"].tolist() == [1, 2]
    (tmp_path / "a" / "dataset.json").unlink()
    assert read(tmp_path / "a").condition == {}


def test_edm_labels_that_do_not_match_the_files(tmp_path):
    edm_zip(tmp_path / "a.zip", [colour(), colour()], [1, 2])
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("00000/img00000002.png", encoded(colour()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.png", encoded(colour()))
        archive.writestr("dataset.json", '{"labels": [["a.png", 1], ["b.png", 2]]}')
    assert reasons(read(tmp_path / "a.zip")) == {
        "00000/img00000002.png": "it has no label in dataset.json, others have"
    }
    assert reasons(read(tmp_path / "b.zip")) == {"b.png": "named in dataset.json, but not there"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        "{}",
        '{"labels": 3}',
        '{"labels": [["a.png"]]}',
        '{"labels": [["a.png", "cat"]]}',
        '{"labels": [["a.png", -1]]}',
        '{"labels": [["a.png", true]]}',
        '{"labels": [["a.png", 5]], "classes": ["x"]}',
        "[" * 100_000,
    ],
)
def test_a_bad_dataset_json(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", encoded(grey()))
        archive.writestr("dataset.json", content)
    with pytest.raises(DataError, match=r"dataset\.json.*a\.zip"):
        read(tmp_path / "a.zip")


def test_a_zip_with_class_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.png", encoded(grey()))
        archive.writestr("dog/1.png", encoded(grey()))
        archive.writestr("__MACOSX/dog/._1.png", b"")
    dataset = read(tmp_path / "a.zip")
    assert dataset.condition["label"].tolist() == ["cat", "dog"]
    assert dataset.rejected == ()


def test_broken_records_are_named_and_the_rest_is_kept(tmp_path):
    good = encoded(colour())
    files = {
        "good.png": good,
        "empty.png": b"",
        "text.png": b"this is no image",
        "cut.png": good[: len(good) // 2],
        "cut.jpg": encoded(colour(40, 40), "JPEG")[:300],
        "notes.txt": b"hello",
        ".DS_Store": b"x",
        "film.gif": encoded(
            Image.fromarray(grey()), "GIF", save_all=True, append_images=[Image.fromarray(grey())], loop=0
        ),
        "float.tif": encoded(Image.fromarray(np.zeros((6, 5), np.float32)), "TIFF"),
        "large.png": encoded(colour(9, 9)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    dataset = read(tmp_path)
    assert (dataset.objects[0] == decode(good)).all()
    assert len(dataset) == 1
    found = reasons(dataset)
    assert set(found) == set(files) - {"good.png", ".DS_Store"}
    assert found["empty.png"] == "the file is empty"
    assert "not an image of a known format" in found["text.png"]
    assert "truncated" in found["cut.png"]
    assert "truncated" in found["cut.jpg"]
    assert "not an image" in found["notes.txt"]
    assert "2 frames" in found["film.gif"]
    assert "32-bit" in found["float.tif"]
    assert "9 x 9" in found["large.png"]
    assert all(record.file.startswith(str(tmp_path)) for record in dataset.rejected)


def test_the_majority_size_is_kept(tmp_path):
    for index, side in enumerate([8, 6, 6, 6, 8]):
        (tmp_path / f"{index}.png").write_bytes(encoded(grey(side, side)))
    dataset = read(tmp_path)
    assert dataset.objects.shape == (3, 6, 6, 1)
    assert reasons(dataset)["0.png"] == "8 x 8 pixels, most (3 of 5) have 6 x 6: give a size to resize to"
    assert read(tmp_path, size=6).objects.shape == (5, 6, 6, 1)


def test_size_crops_the_centre(tmp_path):
    pixels = np.zeros((4, 12), np.uint8)
    pixels[:, 4:8] = 200
    (tmp_path / "a.png").write_bytes(encoded(pixels))
    assert (read(tmp_path, size=4).objects == 200).all()
    np.save(tmp_path / "a.npy", pixels[None])
    assert (read(tmp_path / "a.npy", size=4).objects == 200).all()
    assert read(tmp_path / "a.npy", size=2).objects.shape == (1, 2, 2, 1)


def test_channels(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(np.full((4, 4), 100, np.uint8)))
    assert read(tmp_path).objects.shape == (1, 4, 4, 1)
    assert read(tmp_path, channels=3).objects.shape == (1, 4, 4, 3)
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    (tmp_path / "b.png").write_bytes(encoded(red))
    mixed = read(tmp_path)
    assert mixed.objects.shape == (2, 4, 4, 3)
    assert (mixed.objects[0] == 100).all()
    assert read(tmp_path, channels=1).objects[1, 0, 0, 0] == 76  # 0.299 * 255, ITU-R 601
    with pytest.raises(ConfigError, match=r"1 \(grey\) or 3"):
        read(tmp_path, channels=2)
    with pytest.raises(ConfigError, match="at least 1"):
        read(tmp_path, size=0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_laid_on_white(mode):
    image = Image.new("RGBA", (4, 4), (10, 10, 10, 0))
    image.putpixel((0, 0), (10, 10, 10, 255))
    pixels = decode(encoded(image.convert(mode)))
    assert pixels.shape[2] == (1 if mode == "LA" else 3)
    assert (pixels[0, 0] == 10).all()
    assert (pixels[1:] == 255).all()


def test_modes_of_other_depths():
    sixteen = np.array([[0, 257, 65535, 32896]], np.uint16)
    assert decode(encoded(sixteen))[0, :, 0].tolist() == [0, 1, 255, 128]
    assert decode(encoded(Image.fromarray(np.array([[True, False]]))))[0, :, 0].tolist() == [255, 0]
    assert decode(encoded(Image.new("CMYK", (2, 2)), "TIFF"))[0, 0].tolist() == [255, 255, 255]


def test_a_photograph_is_turned_upright():
    pixels = np.zeros((2, 8), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(pixels, "PNG", exif=exif)).shape == (8, 2, 1)


def test_decompression_bombs_are_refused(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (10_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        rows = zlib.compress(bytes(side // 8 + 1) * 100)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
        with pytest.raises(DataError, match="pixels"):
            decode(bomb)


def test_zip_entries_that_cannot_be_unpacked(tmp_path):
    edm_zip(tmp_path / "a.zip", [colour(), colour(), colour()], None)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    spot = data.index(b"IDAT") + 8
    data[spot] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    dataset = read(tmp_path / "a.zip")
    assert len(dataset) == 2
    assert "CRC" in reasons(dataset)["00000/img00000000.png"]


def test_a_zip_entry_without_a_name(tmp_path):
    edm_zip(tmp_path / "a.zip", [colour()], None)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("an unnamed entry", b"x")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"an unnamed entry", b"\0n unnamed entry"))
    assert reasons(read(tmp_path / "a.zip")) == {"a.zip": "not an image, by its suffix"}


def test_npy_layouts(tmp_path):
    images = random.integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
    for array in (images, images.transpose(0, 3, 1, 2)):
        np.save(tmp_path / "a.npy", array)
        assert (read(tmp_path / "a.npy").objects == images).all()
    np.save(tmp_path / "a.npy", images[..., 0])
    assert (read(tmp_path / "a.npy").objects == images[..., :1]).all()
    np.save(tmp_path / "a.npy", np.concatenate([images, np.zeros_like(images[..., :1])], axis=3))
    assert (read(tmp_path / "a.npy").objects == 255).all()


def test_npy_types(tmp_path):
    images = random.integers(0, 256, (7, 6, 5), dtype=np.uint8)
    images[0, 0, :2] = 0, 255
    for array in (images.astype(int), images / 255, (images / 255).astype(np.float32), images / 127.5 - 1):
        np.save(tmp_path / "a.npy", array)
        assert (read(tmp_path / "a.npy").objects[..., 0] == images).all()
    np.save(tmp_path / "a.npy", images > 100)
    assert (read(tmp_path / "a.npy").objects[..., 0] == (images > 100) * 255).all()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 5), np.uint8), "shape"),
        (np.zeros((0, 5, 5), np.uint8), "empty"),
        (np.zeros((9, 9, 3), np.uint8), "or 9 images"),
        (np.zeros((9, 3, 9, 3), np.uint8), "both"),
        (np.zeros((9, 9, 9, 9), np.uint8), "neither"),
        (np.full((2, 9, 9), 16), "0 to 16|16 to 16"),
        (np.full((2, 9, 9), 300), "300"),
        (np.full((2, 9, 9), -1), "-1"),
        (np.full((2, 9, 9), 255.0), "255"),
        (np.full((2, 9, 9), "x"), "type"),
        (np.full((2, 9, 9), 1j), "type"),
    ],
)
def test_ambiguous_arrays_are_refused_with_the_reason(tmp_path, array, reason):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=rf"a\.npy[\s\S]*({reason})"):
        read(tmp_path / "a.npy")


def test_nan_and_infinity_are_named(tmp_path):
    images = random.random((5, 6, 6))
    images[1, 2, 2] = np.nan
    images[3, 0, 0] = np.inf
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(5))
    dataset = read(tmp_path / "a.npz")
    assert [record.record for record in dataset.rejected] == ["index 1", "index 3"]
    assert dataset.condition["label"].tolist() == [0, 2, 4]
    assert (dataset.objects[..., 0] == np.rint(images[[0, 2, 4]] * 255)).all()
    np.save(tmp_path / "b.npy", np.full((2, 6, 6), np.nan))
    with pytest.raises(DataError, match="2 were left out"):
        read(tmp_path / "b.npy")


def test_npz(tmp_path):
    images = random.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    np.savez_compressed(tmp_path / "a.npz", images)
    assert (read(tmp_path / "a.npz").objects == images).all()
    np.savez(tmp_path / "b.npz", data=images, labels=np.array(["a", "b", "a", "b"]))
    assert read(tmp_path / "b.npz").condition["label"].tolist() == ["a", "b", "a", "b"]
    np.savez(tmp_path / "c.npz", one=images, two=images)
    with pytest.raises(DataError, match=r"one.*two"):
        read(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", images=images, labels=np.arange(3))
    with pytest.raises(DataError, match=r"labels of .*d\.npz.*4 samples"):
        read(tmp_path / "d.npz")


def test_nothing_usable_names_path_count_and_reasons(tmp_path):
    with pytest.raises(DataError, match=f"no image in {tmp_path}"):
        read(tmp_path)
    for index in range(5):
        (tmp_path / f"{index}.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert re.search(r"5 were left out:\n  .*0\.png: the file is empty", str(caught.value))
    with pytest.raises(DataError, match=r"0\.png"):
        read(tmp_path / "0.png")


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(PfgmError, match="no file or folder"):
        read(tmp_path / "missing")
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match="no kind of file"):
        read(tmp_path / "a.mp4")
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"a\.zip as a zip"):
        read(tmp_path / "a.zip")


def test_stream_yields_one_by_one(tmp_path):
    (tmp_path / "1.png").write_bytes(encoded(colour(4, 7)))
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_bytes(encoded(grey(5, 5)))
    first, second, third = stream(tmp_path)
    assert isinstance(first, Record)
    assert first.image.shape == (4, 7, 3)
    assert isinstance(second, BadRecord)
    assert isinstance(third, Record)
    assert third.image.shape == (5, 5, 1)


images_strategy = st.tuples(st.integers(1, 5), st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3])).flatmap(
    lambda shape: arrays.arrays(np.uint8, shape)
)


@fuzz
@given(images=images_strategy, kind=st.sampled_from(["folder", "a.zip", "a.npz", "a.npy"]), data=st.data())
def test_what_is_written_is_read_back(tmp_path_factory, images, kind, data):
    path = tmp_path_factory.mktemp("round") / kind
    names = st.sampled_from(["cat", "a dog", "7", "é"])
    options = (
        [st.none()] if kind == "a.npy" else [st.none(), st.lists(names, min_size=len(images), max_size=len(images))]
    )
    labels = data.draw(st.one_of(*options))
    write(path, images, labels)
    back = read(path)
    order = np.arange(len(images)) if labels is None or kind != "folder" else np.argsort(labels, kind="stable")
    assert (back.objects == images[order]).all()
    assert back.rejected == ()
    if labels is None:
        assert back.condition == {}
    else:
        assert back.condition["label"].tolist() == [labels[i] for i in order]


@pytest.mark.parametrize("labels", [[3, 0, 1], [-1, 4, 4], ["x", "y", "x"]])
def test_labels_in_zip_and_npz(tmp_path, labels):
    images = np.stack([grey() for _ in range(3)])[..., None]
    for name in ("a.zip", "a.npz"):
        write(tmp_path / name, images, labels)
        assert [str(v) for v in read(tmp_path / name).condition["label"].tolist()] == [str(v) for v in labels]


def test_the_zip_is_edm_layout_and_the_same_each_time(tmp_path):
    images = np.stack([colour() for _ in range(2)])
    write(tmp_path / "a.zip", images, [1, 0])
    write(tmp_path / "b.zip", images, [1, 0])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["00000/img00000000.png", "00000/img00000001.png", "dataset.json"]
        content = json.loads(archive.read("dataset.json"))
        assert content == {"labels": [["00000/img00000000.png", 1], ["00000/img00000001.png", 0]]}
        assert (np.array(Image.open(archive.open("00000/img00000001.png"))) == images[1]).all()


def test_one_png_and_a_grid(tmp_path):
    images = np.stack([colour() for _ in range(5)])
    write(tmp_path / "one.png", images[:1])
    assert (np.array(Image.open(tmp_path / "one.png")) == images[0]).all()
    write(tmp_path / "grid.png", images)
    grid = np.array(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (2 * 6, 3 * 5, 3)
    assert (grid[:6, 10:] == images[2]).all()
    assert (grid[6:, 5:10] == images[4]).all()
    assert (grid[6:, 10:] == 255).all()


@pytest.mark.parametrize("name", ["folder", "a.zip", "a.npz", "a.npy", "a.png"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, name):
    images = grey()[None, ..., None]
    if name != "folder":
        (tmp_path / name).write_bytes(b"old")
    before = sorted(entry.name for entry in tmp_path.iterdir())

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PfgmError, match=f"{name}: No space left"):
        write(tmp_path / name, images)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert name == "folder" or (tmp_path / name).read_bytes() == b"old"


def test_what_cannot_be_written_is_refused(tmp_path):
    images = grey()[None, ..., None]
    for wrong in (images[0], images / 255, images[:0], np.repeat(images, 4, axis=3)):
        with pytest.raises(DataError, match="uint8"):
            write(tmp_path / "a.npy", wrong)
    with pytest.raises(ConfigError, match=r"\.jpg"):
        write(tmp_path / "a.jpg", images)
    with pytest.raises(DataError, match="labels"):
        write(tmp_path / "a.npy", images, [1])
    with pytest.raises(DataError, match="1 samples"):
        write(tmp_path / "a.npz", images, [1, 2])
    for label in ("../up", "", "a/b", ".hidden"):
        with pytest.raises(DataError, match="folder"):
            write(tmp_path / "out", images, [label])
    assert list(tmp_path.iterdir()) == []


prefixes = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        b"II*\0",
        b"BM",
        b"GIF89a",
        b"P5 3 3 255\n",
    ]
)


@fuzz
@given(head=prefixes, data=st.binary(max_size=200), name=st.sampled_from(["a.png", "a.tif", "a.npy", "a.npz", "a.zip"]))
def test_arbitrary_bytes_raise_nothing_else(tmp_path, head, data, name):
    (tmp_path / name).write_bytes(head + data)
    try:
        assert len(read(tmp_path / name)) > 0
    except PfgmError as error:
        assert name in str(error)


@fuzz
@given(
    form=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "zip", "npy", "npz"]),
    place=st.floats(0, 1, exclude_max=True),
    value=st.integers(0, 255),
    cut=st.floats(0, 1),
)
def test_damaged_files_raise_nothing_else(tmp_path, form, place, value, cut):
    pixels = np.arange(900, dtype=np.uint8).reshape(1, 30, 30, 1)
    if form in ("zip", "npy", "npz"):
        path = tmp_path / f"a.{form}"
        write(path, pixels)
        data = bytearray(path.read_bytes())
    else:
        path = tmp_path / "a.png"
        data = bytearray(encoded(pixels[0, :, :, 0], form))
    data[int(place * len(data))] = value
    path.write_bytes(data[: max(1, int(cut * 1.2 * len(data)))])
    try:
        assert read(path).objects.dtype == np.uint8
    except PfgmError as error:
        assert path.name in str(error)
