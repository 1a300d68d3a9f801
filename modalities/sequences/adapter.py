"""The adapter of sequences: letters to codewords, in the columns of an alignment or one behind the other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from modalities.sequences.alphabet import GAP, Alphabet, alphabet_named
from modalities.sequences.frame import Frame, numbered
from pfgm_science.batch import Batch
from pfgm_science.codebook import Codebook
from pfgm_science.condition import ConditionSpec
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.objective import CrossEntropy

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from modalities.sequences.design import Design
    from modalities.sequences.fold import Fold
    from pfgm_science.report import Section
    from pfgm_science.walk import Seen

FEW, MANY = 2000, 10_000  # sequences, up to which a network is held back much, and a little
PSEUDOCOUNT = 0.5  # of each symbol in each column: what was never seen is unlikely, not impossible


@dataclass(frozen=True)
class Sequences:
    """Sequences of one alphabet. All fields are learned from data by `fit`.

    alphabet: "protein", "dna" or "rna", "" to guess it from the letters. frame: of aligned sequences, all of which have
    a symbol in each of its columns; None for sequences of free length. sizes: lengths that occur, and how often each.
    gaps: whether aligned sequences have any, so that the gap is a symbol. frequencies: of each symbol in each column,
    or in one row for all places of free sequences. kind: what samples are, "record" or "text".
    """

    alphabet: str = ""
    frame: Frame | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    gaps: bool = False
    frequencies: tuple[tuple[float, ...], ...] = ()
    kind: str = "record"

    name: ClassVar[str] = "sequences"
    suffix: ClassVar[str] = ".fasta"
    designer: ClassVar[str] = "antibody-vh"

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Sequences:
        frame = None if settings["frame"] is None else Frame.restore(settings["frame"])
        sizes = tuple((int(size), int(count)) for size, count in settings["sizes"])
        frequencies = tuple(tuple(float(share) for share in row) for row in settings["frequencies"])
        return cls(settings["alphabet"], frame, sizes, settings["gaps"], frequencies, settings["kind"])

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def letters(self) -> Alphabet:
        return alphabet_named(self.alphabet)

    @property
    def aligned(self) -> bool:
        return self.frame is not None

    @property
    def length(self) -> int:
        """Places of a sample: columns, or the length of the longest sequence."""
        return max((size for size, _ in self.sizes), default=0)

    @property
    def codebook(self) -> Codebook:
        """Of the letters, and of the gap where there are gaps."""
        return Codebook(len(self.letters.letters) + int(self.gaps))

    @property
    def objective(self) -> CrossEntropy:
        """What training minimises in place of the squared error."""
        return CrossEntropy(self.codebook)

    def fit(self, data: Dataset) -> Sequences:
        from modalities.sequences.objects import checked, is_text

        if not len(data):
            raise DataError("there are no sequences: at least one is needed")
        texts, alphabet = checked(data.objects, alphabet_named(self.alphabet) if self.alphabet else None)
        sizes = Counter(map(len, texts))
        gaps = next((i for i, text in enumerate(texts) if GAP in text), None)
        frame = _frame(data.details, len(texts[0])) if len(sizes) == 1 else None
        if frame is None and gaps is not None:
            raise DataError(
                f"sequence {gaps} has gaps, and sequences have {len(sizes)} lengths: aligned sequences are all of one "
                "length; take the gaps away from those that are not aligned"
            )
        adapter = replace(
            self,
            alphabet=alphabet.name,
            frame=frame,
            sizes=tuple(sorted(sizes.items())),
            gaps=gaps is not None,
            kind="text" if is_text(data.objects) else "record",
        )
        return replace(adapter, frequencies=adapter._frequencies(texts))

    def _frequencies(self, texts: Sequence[str]) -> tuple[tuple[float, ...], ...]:
        symbols, rows = self.codebook.size, self.length if self.aligned else 1
        counts = np.full((rows, symbols), PSEUDOCOUNT)
        for text in texts:
            numbers = self.letters.numbers(text)
            row = np.arange(len(text)) if self.aligned else np.zeros_like(numbers)
            np.add.at(counts, (row, numbers), 1)
        shares = counts / counts.sum(1, keepdims=True)
        return tuple(tuple(round(float(share), 7) for share in row) for row in shares)

    def encode(self, objects: Any) -> Batch:
        """The codeword of each letter: values [n, length, symbols], with a mask where lengths differ."""
        from modalities.sequences.objects import checked

        texts, _ = checked(objects, self.letters)
        lengths = torch.tensor([len(text) for text in texts], dtype=torch.long)
        if not self.gaps and (found := next((i for i, text in enumerate(texts) if GAP in text), None)) is not None:
            raise DataError(f"sequence {found} has gaps; this adapter knows sequences without any")
        if self.aligned:
            wrong = [i for i, text in enumerate(texts) if len(text) != self.length]
            if wrong:
                raise DataError(
                    f"sequence {wrong[0]} has {len(texts[wrong[0]])} columns; this adapter knows alignments of "
                    f"{self.length}"
                )
        else:
            for i, text in enumerate(texts):
                if len(text) > self.length:
                    raise DataError(f"sequence {i} has length {len(text)}; this adapter knows at most {self.length}")
        numbers = torch.zeros(len(texts), self.length, dtype=torch.long)
        for i, text in enumerate(texts):
            numbers[i, : len(text)] = torch.from_numpy(self.letters.numbers(text))
        values = self.codebook.encode(numbers)
        if self.aligned:
            return Batch(values)
        mask = self._mask(lengths)
        return Batch(values * mask, mask)

    def decode(self, batch: Batch) -> list[Any]:
        """The nearest letter in each place; aligned sequences with their gaps."""
        from modalities.sequences.objects import records

        symbols = self.codebook.symbols(batch.values.cpu()).tolist()
        lengths = [self.length] * len(batch)
        if batch.mask is not None and not self.aligned:
            lengths = batch.mask[..., 0].sum(1).long().tolist()
        texts = [self.letters.text(row[:length]) for row, length in zip(symbols, lengths, strict=True)]
        return texts if self.kind == "text" else records(texts)

    def template(self, count: int, seed: int) -> Batch:
        """Lengths as often as they occur among the data."""
        if self.aligned:
            return Batch(torch.zeros(count, self.length, self.codebook.size))
        sizes, often = np.array(self.sizes).T
        return self.sized(np.random.default_rng(seed).choice(sizes, count, p=often / often.sum()))

    def sized(self, sizes: Any) -> Batch:
        """The template of sequences of these lengths; ConfigError for longer ones than the data have."""
        numbers = np.asarray(sizes)
        if self.aligned:
            raise ConfigError("this model makes aligned sequences, whose lengths come with their gaps: leave sizes out")
        if numbers.dtype.kind not in "iu" or numbers.ndim != 1 or not ((numbers >= 1) & (numbers <= self.length)).all():
            raise ConfigError(f"sizes are {sizes}: this model makes sequences of 1 to {self.length} letters")
        mask = self._mask(torch.from_numpy(numbers.astype(np.int64)))
        return Batch(torch.zeros_like(mask), mask)

    def _mask(self, lengths: torch.Tensor) -> torch.Tensor:
        inside = (torch.arange(self.length) < lengths[:, None]).float()
        return inside[..., None].expand(-1, -1, self.codebook.size).contiguous()

    def design(self, template: Any, **words: Any) -> Design:
        """What the command line makes of `--template` and the options that go with it."""
        from modalities.sequences.design import asked

        return asked(template, **words)

    def fold(self, structure: str) -> Fold:
        """What the command line makes of `--structure`."""
        from modalities.sequences.fold import Fold

        return Fold(structure)

    def layout(self, columns: range) -> list[int]:
        """The columns of a region, from its start, in the order in which longer loops come to have letters in them.

        What most sequences have a letter in comes first, so that a loop of any length has its gaps where those of the
        data are: in the middle in IMGT and AHo, before the last columns in Kabat.
        """
        gap = -1 if self.gaps else None
        share = [0.0 if gap is None else self.frequencies[column][gap] for column in columns]
        middle = (len(columns) - 1) / 2
        return sorted(range(len(columns)), key=lambda place: (round(share[place], 4), -abs(place - middle)))

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """In training aligned sequences are also filled in around parts of themselves, see infilling."""
        if self.frame is None:
            return batch
        from modalities.sequences.infilling import parts

        return parts(self.frame, self.codebook.size - 1 if self.gaps else None)(batch, generator)

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        """settings: fields of network.MLPConfig for aligned sequences, of network.TransformerConfig for free ones."""
        from modalities.sequences.network import SequenceMLP, SequenceTransformer, TransformerConfig, configured

        prior = torch.tensor(self.frequencies).log()
        config = configured(settings, self.aligned)
        if isinstance(config, TransformerConfig):
            return SequenceTransformer(self.length, self.codebook, prior, config, specs)
        pairs = self.frame.pairs if self.frame is not None else ()
        return SequenceMLP(self.length, self.codebook, prior, config, specs, pairs)

    def recipe(self, count: int) -> dict[str, Any]:
        """Noise levels where letters are decided: about a third of the distance between two of them.

        The fewer the sequences, the sooner are they learnt by heart: more of the hidden units are left out in training,
        and the network is not shown its estimate, which it would trust too much (docs/benchmarks.md, RNA).
        """
        return {
            "dimension": 512.0,
            "network": {} if count > MANY else {"dropout": 0.5 if count <= FEW else 0.1, "self_conditioning": False},
            "levels": {
                "mean": round(math.log(0.35 * self.codebook.distance), 3),
                "std": 1.0,
                "sigma_min": 0.05,  # below it no letter is in doubt, and the network has hardly been trained
                "sigma_max": 20.0,
            },
            "training": {
                "steps": 5000,
                "batch_size": 64,
                "learning_rate": 1e-3,
                "ema_half_life": 20_000,
            },
        }

    def read(self, path: str, **options: Any) -> Dataset:
        from modalities.sequences.formats import read

        return read(path, **options)

    def write(self, path: str, objects: Any, **options: Any) -> None:
        from modalities.sequences.formats import write

        write(path, objects, **{"frame": self.frame, "alphabet": self.alphabet} | options)

    def datasets(self) -> list[DatasetInfo]:
        from modalities.sequences.datasets import names

        return names()

    def dataset(self, name: str) -> Dataset:
        from modalities.sequences.datasets import load

        return load(name)

    def features(self, objects: Any) -> np.ndarray:
        """Shares of letters and of pairs of neighbours, gaps left out, and the length: [n, K + K^2 + 1] float64."""
        from modalities.sequences.objects import checked, without_gaps

        texts, alphabet = checked(objects, self.letters)
        size = len(alphabet.letters)
        found = np.zeros((len(texts), size + size * size + 1))
        for row, text in zip(found, map(without_gaps, texts), strict=True):
            numbers = alphabet.numbers(text)
            row[:size] = np.bincount(numbers, minlength=size) / max(len(text), 1)  # of gaps alone, nothing
            if len(text) > 1:
                pairs = numbers[:-1] * size + numbers[1:]
                row[size:-1] = np.bincount(pairs, minlength=size * size) / (len(text) - 1)
            row[-1] = math.log(max(len(text), 1))
        return found

    def picture(self, objects: Any, title: str = "") -> Figure:
        from modalities.sequences.views import letters

        figure: Figure = letters(objects, self.letters, title)
        return figure

    def emergence(self, seen: Sequence[Seen]) -> Section:
        """The part of a report that shows one sequence on its way from the prior."""
        from modalities.sequences.views import on_its_way

        mask = seen[0].state.mask
        length = self.length if mask is None or self.aligned else int(mask[0, :, 0].sum())
        shares = [self.codebook.probabilities(at.estimate.values[0, :length].cpu()).double().numpy() for at in seen]
        return on_its_way([at.sigma for at in seen], shares, self.letters)

    def sections(self, real: Any, generated: Any, nearest: Any | None, distances: np.ndarray | None) -> list[Section]:
        """Parts of a report: real beside generated sequences."""
        from modalities.sequences.views import sections

        parts: list[Section] = sections(self, real, generated, nearest, distances)
        return parts

    def novelty(self, generated: Any, training: Any, held_out: Any) -> list[Section]:
        """Parts of a report: how far generated sequences are from the training set, letter by letter."""
        from modalities.sequences.views import novelty

        parts: list[Section] = novelty(self, generated, training, held_out)
        return parts


def _frame(details: Mapping[str, Any], length: int) -> Frame:
    """The frame that came with the data, or one of numbered columns."""
    given = details.get("frame")
    frame = numbered(length) if given is None else Frame.restore(given)
    if len(frame) != length:
        raise DataError(f"the frame has {len(frame)} columns and the sequences {length}: they do not go together")
    return frame
