"""Read and write images: folders, zip folders in EDM's layout, NumPy arrays, single files.

Objects are uint8 arrays [n, height, width, channels], channels 1 (grey) or 3 (RGB). What cannot be used is left out and
named in `Dataset.rejected`.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pfgm_science.data import Dataset, checked_labels, nothing_usable
from pfgm_science.errors import BadRecord, ConfigError, DataError
from pfgm_science.files import hidden, new_folder, read_arrays, reading, replacing, walk, write_bytes

if TYPE_CHECKING:
    from PIL import Image

Array = np.ndarray[Any, Any]
Place = Callable[[str], tuple[str, str]]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm")
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of RGB
_MAX_BYTES = 1 << 29  # of one encoded image
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM")  # decoded by Pillow itself, without another program
_EDM_NAME = re.compile(r"\d{5}/img\d{8}\.\w+")


@dataclass(frozen=True)
class Record:
    """One image that can be used: uint8 [height, width, 1 or 3], its label if it has one, and where it was."""

    image: Array
    label: Any = None
    file: str = ""
    record: str = ""


def read(path: str | os.PathLike[str], *, size: int | None = None, channels: int | None = None) -> Dataset:
    """Images at path: a Dataset of uint8 [n, height, width, channels], with condition {"label": ...} if there are any.

    path is one of
    - a folder or a .zip of image files. With a `dataset.json` in it (EDM's layout, Karras et al., arXiv 2206.00364,
      dataset_tool.py) labels come from there; otherwise the first sub-folder is the class. Order: sorted by path.
    - .npz with the images under "images" (or as the only array) and, if any, labels under "labels"; .npy. Arrays are
      [n, h, w], [n, h, w, c] or [n, c, h, w], c in {1, 3, 4}; uint8, whole numbers that reach from 0 to between 128 and
      255, booleans, or floating point: in [-1, 1] if any is negative, else in [0, 1]. All else is refused as ambiguous.
    - one image file.

    size: resize the shorter side to size and crop the centre to size x size. Without it the most frequent size is kept
    (the first met on a tie) and every other image is rejected by name.
    channels: 1 or 3. Without it 3 if any image is in colour, else 1. Grey is repeated; colour is weighted as in
    ITU-R 601. Transparent pixels are laid on white; 16-bit greys are divided by 257; a photograph's EXIF orientation is
    applied.

    Raises PfgmError for a path that does not exist or cannot be read, DataError when no image can be used.
    """
    if channels not in (None, 1, 3):
        raise ConfigError(f"channels is {channels}; it must be 1 (grey) or 3 (RGB).")
    kept: list[Record] = []
    rejected: list[BadRecord] = []
    for item in stream(path, size=size):
        if isinstance(item, Record):
            kept.append(item)
        else:
            rejected.append(item)
    kept = _keep(kept, rejected, _shape_reasons(kept))
    kept = _keep(kept, rejected, _label_reasons(kept))
    if not kept:
        if not rejected:
            raise DataError(f"there is no image in {path}. Image files end in {' '.join(IMAGE_SUFFIXES)}.")
        raise DataError(nothing_usable(path, "image", rejected))
    images = _stack([record.image for record in kept], channels)
    condition = {} if kept[0].label is None else {"label": np.asarray([record.label for record in kept])}
    return Dataset(images, condition, name=Path(path).stem, source=str(path), rejected=tuple(rejected))


def stream(path: str | os.PathLike[str], *, size: int | None = None) -> Iterator[Record | BadRecord]:
    """Images at path one by one, of their own sizes and channels, the unusable ones as BadRecord; see `read`."""
    if size is not None and size < 1:
        raise ConfigError(f"size is {size}; it must be at least 1 pixel.")
    with reading(path) as existing:
        suffix = existing.suffix.lower()
        if existing.is_dir():
            yield from _folder(existing, size)
        elif suffix == ".zip":
            yield from _zip(existing, size)
        elif suffix in (".npy", ".npz"):
            yield from _arrays(existing, size)
        elif suffix in IMAGE_SUFFIXES:
            yield _decoded(existing.read_bytes, (str(existing), ""), None, size)
        else:
            raise DataError(
                f"{path} is no kind of file that images are read from: give a folder, .zip, .npz, .npy or an image "
                f"({' '.join(IMAGE_SUFFIXES)})."
            )


def decode(data: bytes, size: int | None = None) -> Array:
    """One encoded image as uint8 [height, width, 1 or 3]; raises DataError with the reason when it cannot be used."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not data:
        raise DataError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata, and sizes that are checked below
            with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
                _check_header(opened)
                plain = _plain(ImageOps.exif_transpose(opened))
                return _array(plain if size is None else _fit(plain, size))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"not an image of a known format (it begins with {data[:12]!r})") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"it would decode to more than {MAX_PIXELS} pixels") from error
    except Exception as error:  # Pillow's decoders raise many types on damaged bytes
        raise DataError(f"damaged or truncated ({error or type(error).__name__})") from error


def write(path: str | os.PathLike[str], images: Array, labels: Sequence[Any] | Array | None = None) -> None:
    """Write uint8 images [n, height, width, 1 or 3], whole or not at all, in the form that the name of path asks for.

    - no suffix, or an empty folder: PNG files 000000.png, ..., in a sub-folder for each class if labels are given
      (they are read back as text, class by class)
    - .zip: EDM's layout, 00000/img00000000.png and dataset.json. EDM knows only numbers as labels, so class names are
      numbered and listed under "classes"
    - .npz: arrays "images" and "labels"; .npy: the images alone
    - .png: one image; several as a grid, row by row, ceil(sqrt(n)) in a row, the rest white

    Raises DataError for images of another type or shape and for labels that the form cannot hold, ConfigError for
    another suffix, PfgmError when the disk refuses.
    """
    images = _checked(images)
    names = None if labels is None else checked_labels(labels, len(images), path)
    suffix = "" if Path(path).is_dir() or str(path).endswith("/") else Path(path).suffix.lower()
    if names is not None and suffix in (".npy", ".png"):
        raise DataError(f"a {suffix} file cannot hold labels: write {path} as .npz, .zip or a folder.")
    if suffix == "":
        _write_folder(path, images, names)
    elif suffix == ".zip":
        _write_zip(path, images, names)
    elif suffix == ".npz":
        with replacing(path) as temporary, temporary.open("wb") as file:
            if names is None:
                np.savez(file, images=images)
            else:
                np.savez(file, images=images, labels=names)
    elif suffix == ".npy":
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, images, allow_pickle=False)
    elif suffix == ".png":
        write_bytes(path, _png(_grid(images)))
    else:
        raise ConfigError(f"images cannot be written as {suffix}: use .png, .zip, .npz, .npy or a folder (no suffix).")


def _folder(root: Path, size: int | None) -> Iterator[Record | BadRecord]:
    names = sorted(path.relative_to(root).as_posix() for path in walk(root))
    yield from _tree(
        names, lambda name: (root / name).read_bytes(), lambda name: (str(root / name), ""), str(root), size
    )


def _zip(path: Path, size: int | None) -> Iterator[Record | BadRecord]:
    try:
        archive = zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # zipfile raises many types on damaged bytes
        raise DataError(f"cannot read {path} as a zip archive ({error}). It is damaged, or not a zip.") from error
    with archive:
        entries = {entry.filename: entry for entry in archive.infolist() if not entry.filename.endswith("/")}

        def load(name: str) -> bytes:
            if entries[name].file_size > _MAX_BYTES:
                raise DataError(f"it unpacks to {entries[name].file_size} bytes, more than the {_MAX_BYTES} allowed")
            try:
                return archive.read(entries[name])
            except Exception as error:  # wrong checksum, encryption, unknown compression, zlib's own errors
                raise DataError(f"cannot be unpacked ({error or type(error).__name__})") from error

        yield from _tree(sorted(entries), load, lambda name: (str(path), name), str(path), size)


def _tree(
    names: Sequence[str], load: Callable[[str], bytes], place: Place, root: str, size: int | None
) -> Iterator[Record | BadRecord]:
    """Images of a folder or an archive, given the names of its files in order."""
    listed = "dataset.json" in names
    table = _edm_labels(partial(load, "dataset.json"), root) if listed else {}
    names = [name for name in names if name != "dataset.json" and not hidden(name)]
    images = {name for name in names if name.lower().endswith(IMAGE_SUFFIXES)}
    by_folder = not listed and not all(_EDM_NAME.fullmatch(name) for name in images)
    for name in names:
        label = table.get(name) if listed else name.split("/")[0] if by_folder and "/" in name else None
        if name not in images:
            yield BadRecord(*place(name), "not an image, by its suffix")
        elif table and label is None:
            yield BadRecord(*place(name), "it has no label in dataset.json, others have")
        else:
            yield _decoded(partial(load, name), place(name), label, size)
    for name in sorted(set(table) - set(names)):
        yield BadRecord(*place(name), "named in dataset.json, but not there")


def _edm_labels(load: Callable[[], bytes], root: str) -> dict[str, Any]:
    """File name -> class number, class name or vector; empty when dataset.json gives no labels."""
    try:
        content = json.loads(load())
        pairs = content["labels"]
        table = {} if pairs is None else {str(name): label for name, label in dict(pairs).items()}
        classes = content.get("classes")
        if not table:
            return {}
        if all(type(label) is int and 0 <= label < 2**63 for label in table.values()):
            return table if classes is None else {name: str(classes[label]) for name, label in table.items()}
        vectors = {name: np.asarray(label, np.float32) for name, label in table.items()}
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        DataError,
    ) as error:
        raise DataError(
            f"dataset.json in {root} cannot be used ({type(error).__name__}: {error}). It must hold "
            '{"labels": [["00000/img00000000.png", 3], ...]}, or null in place of the list.'
        ) from error
    if len({vector.shape for vector in vectors.values()}) != 1 or next(iter(vectors.values())).ndim != 1:
        raise DataError(f"labels in dataset.json in {root} must all be class numbers, or all vectors of one length.")
    return vectors


def _decoded(load: Callable[[], bytes], place: tuple[str, str], label: Any, size: int | None) -> Record | BadRecord:
    try:
        return Record(decode(load(), size), label, *place)
    except OSError as error:
        return BadRecord(*place, f"cannot be read ({error.strerror or error})")
    except DataError as error:
        return BadRecord(*place, str(error))


def _check_header(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{image.width} x {image.height} pixels are more than the {MAX_PIXELS} allowed")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a phone's JPEG, with previews as further frames
        raise DataError(f"it holds {frames} frames: save each as a file of its own")
    if image.mode in ("I", "F"):
        raise DataError("32-bit pixels, whose range is not known: save it with 8 or 16 bits")


def _plain(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if grey else "RGBA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("L" if grey else "RGB")


def _fit(image: Image.Image, size: int) -> Image.Image:
    from PIL import Image, ImageOps

    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def _array(image: Image.Image) -> Array:
    pixels = np.array(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _image(pixels: Array) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _arrays(path: Path, size: int | None) -> Iterator[Record | BadRecord]:
    arrays = read_arrays(path)
    labels = arrays.pop("labels", None)
    if "images" in arrays:
        images = arrays["images"]
    elif len(arrays) == 1:
        images = next(iter(arrays.values()))
    else:
        raise DataError(f'{path} holds the arrays {list(arrays)}: name the one of the images "images".')
    images = _channels_last(images, path)
    if labels is not None:
        labels = checked_labels(labels, len(images), path)
    to_bytes = _conversion(images, path)
    for index, pixels in enumerate(images):
        if not np.isfinite(pixels).all():
            yield BadRecord(str(path), f"index {index}", "it has values that are NaN or infinite")
            continue
        pixels = to_bytes(pixels)
        if pixels.shape[2] == 4 or size is not None:
            plain = _plain(_image(pixels))
            pixels = _array(plain if size is None else _fit(plain, size))
        yield Record(pixels, None if labels is None else labels[index], str(path), f"index {index}")


def _channels_last(images: Array, path: Path) -> Array:
    """[n, h, w, c] of what is [n, h, w], [n, h, w, c] or [n, c, h, w]; refuses what could be two of these."""
    shape, counts = images.shape, (1, 3, 4)
    wanted = "It must be [n, height, width], [n, height, width, channels] or [n, channels, height, width]"
    if 0 in shape or images.ndim not in (3, 4):
        raise DataError(f"the array in {path} has shape {list(shape)}. {wanted}, and not be empty.")
    if images.ndim == 3:
        if shape[2] in counts:
            raise DataError(
                f"the array in {path} has shape {list(shape)}: one image with {shape[2]} channels, or {shape[0]} "
                f"images {shape[2]} wide? {wanted}: add the axis that is missing."
            )
        return images[..., None]
    last, first = shape[3] in counts, shape[1] in counts
    if last == first:
        which = "both the second and the last axis could be" if last else "neither the second nor the last axis can be"
        raise DataError(f"the array in {path} has shape {list(shape)}: {which} the channels (1, 3 or 4). {wanted}.")
    return images if last else np.moveaxis(images, 1, 3)


def _conversion(images: Array, path: Path) -> Callable[[Array], Array]:
    """How finite pixels become uint8, judged by type and range of the whole array."""
    kind = images.dtype.kind
    if images.dtype == np.uint8:
        return lambda pixels: pixels
    if kind == "b":
        return lambda pixels: pixels.astype(np.uint8) * np.uint8(255)
    if kind not in "iuf":
        raise DataError(f"the array in {path} has type {images.dtype}: give uint8 or floating point.")
    low, high = _range(images)
    if kind in "iu" and low >= 0 and 128 <= high <= 255:
        return lambda pixels: pixels.astype(np.uint8)
    slack = 1e-5  # rounding in float32
    if kind == "f" and low >= 0 and high <= 1 + slack:
        return lambda pixels: _rounded(pixels.astype(np.float64) * 255)
    if kind == "f" and low >= -1 - slack and high <= 1 + slack:
        return lambda pixels: _rounded((pixels.astype(np.float64) + 1) * 127.5)
    allowed = "[0, 1] or [-1, 1]" if kind == "f" else "0 to 255, with a maximum of 128 or more"
    raise DataError(
        f"the array in {path} has type {images.dtype} and values from {low:g} to {high:g}, so what is black and what "
        f"is white is not known: values of that type must be {allowed}. Convert it to uint8 yourself."
    )


def _range(images: Array) -> tuple[float, float]:
    """Smallest and largest finite value, a thousand images at a time; (0, 0) if none is finite."""
    low, high = math.inf, -math.inf
    for start in range(0, len(images), 1000):
        part = images[start : start + 1000]
        part = part[np.isfinite(part)]
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _rounded(pixels: Array) -> Array:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _shape_reasons(records: Sequence[Record]) -> list[str | None]:
    sizes = [record.image.shape[:2] for record in records]
    if not sizes:
        return []
    usual, count = Counter(sizes).most_common(1)[0]
    most = f"most ({count} of {len(sizes)}) have {usual[1]} x {usual[0]}: give a size to resize to"
    return [None if size == usual else f"{size[1]} x {size[0]} pixels, {most}" for size in sizes]


def _label_reasons(records: Sequence[Record]) -> list[str | None]:
    labelled = any(record.label is not None for record in records)
    return ["it lies in no class folder, others do" if labelled and r.label is None else None for r in records]


def _keep(records: Sequence[Record], rejected: list[BadRecord], reasons: Iterable[str | None]) -> list[Record]:
    kept = []
    for record, reason in zip(records, reasons, strict=True):
        if reason is None:
            kept.append(record)
        else:
            rejected.append(BadRecord(record.file, record.record, reason))
    return kept


def _stack(images: Sequence[Array], channels: int | None) -> Array:
    channels = channels or max(image.shape[2] for image in images)
    stacked = np.empty((len(images), *images[0].shape[:2], channels), np.uint8)
    for row, image in zip(stacked, images, strict=True):
        row[...] = image if image.shape[2] <= channels else _array(_image(image).convert("L"))
    return stacked


def _checked(images: Array) -> Array:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise DataError(
            f"images have type {images.dtype} and shape {list(images.shape)}: they must be uint8 "
            "[n, height, width, channels] with 1 or 3 channels, and not empty."
        )
    return images


def _png(pixels: Array) -> bytes:
    buffer = io.BytesIO()
    _image(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _write_folder(path: str | os.PathLike[str], images: Array, names: Array | None) -> None:
    folders = [""] * len(images) if names is None else [_folder_name(name) for name in names]
    with new_folder(path) as root:
        for name in set(folders):
            (root / name).mkdir(exist_ok=True)
        for index, (pixels, name) in enumerate(zip(images, folders, strict=True)):
            (root / name / f"{index:06d}.png").write_bytes(_png(pixels))


def _folder_name(label: Any) -> str:
    name = str(label)
    if np.ndim(label) or not name or name.startswith(".") or name == "__MACOSX" or set(name) & set('/\\\0:*?"<>|\n'):
        raise DataError(f"label {name!r} cannot be the name of a folder: write .npz or .zip.")
    return name


def _write_zip(path: str | os.PathLike[str], images: Array, names: Array | None) -> None:
    entries = [f"{index // 1000:05d}/img{index:08d}.png" for index in range(len(images))]
    content: dict[str, Any] = {"labels": None}
    if names is not None:
        numbers = names
        if names.dtype.kind == "U" or (names.dtype.kind == "i" and names.min() < 0):
            classes, numbers = np.unique(names.astype(str), return_inverse=True)
            content["classes"] = classes.tolist()
        elif names.dtype.kind == "b":
            numbers = names.astype(np.int64)
        elif names.dtype.kind == "f" and names.ndim == 1:
            numbers = names[:, None]
        content["labels"] = [list(pair) for pair in zip(entries, numbers.tolist(), strict=True)]
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for entry, pixels in zip(entries, images, strict=True):
            archive.writestr(zipfile.ZipInfo(entry), _png(pixels))
        archive.writestr(zipfile.ZipInfo("dataset.json"), json.dumps(content))


def _grid(images: Array) -> Array:
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height, width, channels), 255, np.uint8)
    cells[:count] = images
    return (
        cells.reshape(rows, columns, height, width, channels)
        .swapaxes(1, 2)
        .reshape(rows * height, columns * width, channels)
    )


__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "Record", "decode", "read", "stream", "write"]
