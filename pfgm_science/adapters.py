"""What a modality offers the engine, and how its adapter is found: entry points of the group pfgm_science.adapters."""

from __future__ import annotations

import difflib
import itertools
import os
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast, runtime_checkable

from pfgm_science.errors import ConfigError
from pfgm_science.files import walk

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from torch import nn

    from pfgm_science.batch import Batch
    from pfgm_science.condition import ConditionSpec
    from pfgm_science.data import Dataset, DatasetInfo

GROUP = "pfgm_science.adapters"
LOOKED_AT = 1000  # files of a folder that say which adapter it is for


@runtime_checkable
class Adapter(Protocol):
    """Turns the objects of one domain into tensors and back. See docs/new-modality.md.

    An adapter is a value: `fit` returns one that knows the data's shape and scale, and `settings` is all it knows, as
    JSON values, so that `restore(settings)` in another process decodes the same.

    An adapter may also have `suffix`, the ending of a file of samples when the user names none (".npz" if absent);
    `log_volume()`, the log of what encoding makes of a volume, for densities in the units of the objects;
    `sized(sizes)`, the template of samples of these sizes, [count]; `part(object, ...)`, what keeps an object inside of
    samples; `design(object, ...)`, regions of it drawn anew, and `designer`, the shipped model that does so where none
    is named; `mend(object, ...)`, what is missing of it drawn; `augment(batch, generator)`, other samples that are as
    good, drawn anew at each step; `notice(config)`, what to tell the user before a training run starts, "" for nothing;
    `sections`, `novelty` and `emergence`, parts of a report (see evaluation); `shown(objects)`, items of a report that
    show objects where a picture is not enough; `inspect(data)`, rows (name, what was found) of the table that `pfgm
    data check` prints; `endings`, those of files that are of this domain and of no other; `prepared(objects)`, real
    objects as the model is given them, where encoding changes more than their form, to stand beside samples;
    `finished(objects)`, what is done to new objects of which nothing was given, with what is known of all of them;
    `alarm(generated, real)`, what is plainly wrong with samples and what to do, "" for nothing.
    """

    name: ClassVar[str]

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Adapter:
        """The adapter whose `settings` these are."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything that encode and decode need, as JSON values."""
        ...

    def fit(self, data: Dataset) -> Adapter:
        """An adapter for data like these; DataError when they are empty, not finite or of mixed shape."""
        ...

    def encode(self, objects: Any) -> Batch:
        """Objects to values [n, *shape] of about unit size, with a mask where sizes differ."""
        ...

    def decode(self, batch: Batch) -> Any:
        """The objects of a batch of samples; the inverse of encode up to rounding."""
        ...

    def template(self, count: int, seed: int) -> Batch:
        """Zeros of the shape of `count` new samples, with the mask of their sizes where those differ."""
        ...

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        """The backbone: network(x, noise_level, condition, mask) -> like x."""
        ...

    def recipe(self, count: int) -> dict[str, Any]:
        """Settings of RunConfig that suit `count` samples of this kind; what the user sets goes before."""
        ...

    def read(self, path: str, **options: Any) -> Dataset:
        """Objects from a file or folder of the field's formats; a bad record is named and nothing else is lost."""
        ...

    def write(self, path: str, objects: Any, **options: Any) -> None:
        """Objects to a file or folder, the ending of the name says in which format; labels=... where it holds them."""
        ...

    def datasets(self) -> list[DatasetInfo]:
        """The data sets that `dataset` knows by name."""
        ...

    def dataset(self, name: str) -> Dataset:
        """A real or synthetic data set of the field."""
        ...

    def features(self, objects: Any) -> np.ndarray:
        """What domain-free metrics compare: [n, size], float64."""
        ...

    def picture(self, objects: Any, title: str = "") -> Figure:
        """What a person would look at."""
        ...


def prepared(adapter: Adapter, objects: Any) -> Any:
    """Real objects as this adapter's models are given them; themselves where it prepares nothing."""
    return adapter.prepared(objects) if hasattr(adapter, "prepared") else objects


def names() -> list[str]:
    """Names of the installed adapters."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find(name: str) -> type[Adapter]:
    """The adapter class of this name; ConfigError gives the nearest right name and says what else to do."""
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        known = names()
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"there is no modality {name!r}; there are {', '.join(known) or 'none'}.{hint} If another package brings "
            "it, install that package."
        )
    return _load(points[0])


def guessed(path: str | os.PathLike[str]) -> str:
    """The one adapter whose `endings` are found at path, a file, folder or .zip; "" where none or several are."""
    found = {os.path.splitext(name)[1].lower() for name in _files(Path(path))}
    known = {name: getattr(find(name), "endings", ()) for name in names()}
    fitting = [name for name, endings in known.items() if found & set(endings)]
    return fitting[0] if len(fitting) == 1 else ""


def _files(path: Path) -> list[str]:
    """Names of files at path, of a folder the first thousand."""
    if path.is_dir():
        return [file.name for file in itertools.islice(walk(path), LOOKED_AT)]
    if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()[:LOOKED_AT]
    return [path.name]


def _load(point: EntryPoint) -> type[Adapter]:
    try:
        return cast("type[Adapter]", point.load())
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the modality {point.name!r} ({point.value}) cannot be loaded: {error}") from error
