"""Design jobs: regions of a template are drawn anew, of the length asked for, and everything else stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modalities.sequences.alphabet import GAP
from modalities.sequences.files.pairs import halves
from modalities.sequences.frame import Frame
from modalities.sequences.liabilities import motif, touching
from modalities.sequences.numbering import SCHEMES, framed, heavy_columns
from modalities.sequences.objects import records, text_of, without_gaps
from modalities.sequences.scores import scores
from pfgm_science.batch import Batch, Condition
from pfgm_science.codebook import Codebook
from pfgm_science.condition import GIVEN
from pfgm_science.denoiser import Denoiser, Wrapper
from pfgm_science.errors import ConfigError, PfgmError

ALLOWED = "allowed"  # the condition that says which symbols each column of a sample may have
ATTEMPTS = 30  # draws for designs without what is denied
OPEN = "?"  # a letter that is to be drawn


@dataclass(frozen=True)
class Design:
    """Samples that are a template but for some regions: `model.sample(count, around=Design(...))`.

    template: a sequence in the columns of the model, with its gaps; an antibody without them is numbered. redesign:
    names of regions. lengths: region -> fewest and most letters, drawn evenly between them; a region without an entry
    keeps its gaps where they are.
    allow: place -> the letters it may have, where a place is a column ("H107") or a letter of a region ("CDR-H3:3", the
    first is 1). deny: letters that no place may have; deny_at: place -> those that it may not have. temperature: of
    what each step takes the letters to be, below 1 for the likelier ones (samples sharpen less than a power
    1 / temperature of their law). seed: of the lengths.

    motifs: names of liabilities that no drawn letter may be part of: `draw` draws again until there is none, which
    `sample` alone cannot.

    What cannot be met, or would change nothing, is refused with the reason (ConfigError).
    """

    template: Any
    redesign: Sequence[str]
    lengths: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    allow: Mapping[str, str] = field(default_factory=dict)
    deny: str = ""
    deny_at: Mapping[str, str] = field(default_factory=dict)
    motifs: Sequence[str] = ()
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.redesign:
            raise ConfigError("no region is to be redesigned: every design would be the template")
        if not self.temperature > 0:
            raise ConfigError(f"temperature is {self.temperature}: it must be > 0 (1 is the model's own)")
        for name in self.motifs:
            motif(name)

    def draw(self, model: Any, count: int, *, seed: int = 0, training: Sequence[Any] = (), **how: Any) -> list[Any]:
        """Designs as records, with what a table should say of each in annotations["airr"] (see scores).

        Those with a denied motif are drawn again, at most ATTEMPTS times. training: what the model has seen, to say how
        far from it each design is. how: as in Model.sample. Everything that was not to be drawn is compared with the
        template, letter by letter. PfgmError where too few could be drawn.
        """
        self._say_what_is_left_out(model.adapter)
        known = [model.adapter.letters.normal(text_of(each)) for each in training]
        if {len(text) for text in known} - {len(model.adapter.frame)}:
            raise ConfigError(f"training: the sequences must be in the {len(model.adapter.frame)} columns of the model")
        found: list[tuple[str, str, int]] = []
        tried = 0
        for attempt in range(ATTEMPTS):
            missing = count - len(found)
            own = seed if attempt == 0 else int(np.random.SeedSequence([seed, attempt]).generate_state(1)[0])
            job = replace(self, seed=self.seed + attempt)
            rows = job.rows(model.adapter, missing)
            texts = [text_of(each) for each in model.sample(missing, around=job, seed=own, **how)]
            tried += missing
            for row, text in zip(rows, texts, strict=True):
                _compare(row, text)
                if not any(touching(name, text, drawn_of(row)) for name in self.motifs):
                    found.append((row, text, own))
            if len(found) == count:
                return self._records(model.adapter, found, known)
        raise PfgmError(
            f"{len(found)} of {count} designs are without {', '.join(self.motifs)} after {tried} were drawn: deny "
            "letters as well, or fewer motifs"
        )

    def _records(self, adapter: Any, found: Sequence[tuple[str, str, int]], known: Sequence[str]) -> list[Any]:
        frame, template = self._template(adapter)
        rows, texts, seeds = zip(*found, strict=True)
        tables = scores(texts, [drawn_of(row) for row in rows], template, frame, self.redesign, known)
        if len(set(texts)) < len(texts):
            logging.getLogger(__name__).warning("%d of %d designs are distinct", len(set(texts)), len(texts))
        made = records(texts)
        digits = len(str(len(found)))
        for i, (record, table, seed) in enumerate(zip(made, tables, seeds, strict=True)):
            record.id = record.name = f"design-{i + 1:0{digits}d}"
            record.annotations["airr"] = {**table, "seed": seed}  # type: ignore[assignment]
        return made

    def files(self, out: str) -> list[str]:
        """What writing designs to a file writes: the file, and the table beside it."""
        from modalities.sequences.formats import beside

        return list(dict.fromkeys([out, str(beside(out))]))

    def rows(self, adapter: Any, count: int) -> list[str]:
        """The template of each sample, with "?" in the columns that are to be drawn."""
        frame, text = self._template(adapter)
        regions = {name: frame.region(name) for name in self.redesign}
        rng = np.random.default_rng(self.seed)
        rows = [list(text) for _ in range(count)]
        unknown = [name for name in self.lengths if frame.region(name) not in regions.values()]
        if unknown:
            raise ConfigError(f"a length is given for {', '.join(unknown)}, which is not redesigned")
        asked = {frame.region(name): bounds for name, bounds in self.lengths.items()}
        if len(asked) < len(self.lengths):
            raise ConfigError(f"two lengths are given for one region: {', '.join(self.lengths)}")
        for name, columns in regions.items():
            span = slice(columns.start, columns.stop)
            if columns in asked:
                low, high = asked[columns]
                if not 1 <= low <= high <= len(columns):
                    raise ConfigError(
                        f"{name} is to have {low} to {high} letters: this model's has 1 to {len(columns)} columns"
                    )
                for row, length in zip(rows, rng.integers(low, high + 1, count), strict=True):
                    row[span] = _loop(int(length), adapter.layout(columns))
            else:
                for row in rows:
                    row[span] = [letter if letter == GAP else OPEN for letter in row[span]]
                if OPEN not in rows[0][span]:
                    raise ConfigError(f"{name} of the template is nothing but gaps: give it a length")
        return ["".join(row) for row in rows]

    def allowed(self, adapter: Any, rows: Sequence[str]) -> Tensor:
        """Which symbols each column of each row may have: bool [count, columns, symbols]."""
        frame = adapter.frame
        symbols = adapter.letters.symbols[: adapter.codebook.size]
        self._check_letters("deny", self.deny, symbols)
        usual = torch.tensor([symbol != GAP and symbol not in self.deny.upper() for symbol in symbols])
        found = usual.repeat(len(rows), len(rows[0]), 1)
        for lists, wanted in ((self.allow, True), (self.deny_at, False)):
            for place, letters in lists.items():
                self._check_letters(place, letters, symbols)
                listed = torch.tensor([(symbol in letters.upper()) == wanted for symbol in symbols])
                for i, row in enumerate(rows):
                    found[i, _column(place, row, frame)] &= listed
        for i, row in enumerate(rows):
            for column, letter in enumerate(row):
                if letter == OPEN and not bool(found[i, column].any()):
                    raise ConfigError(f"no letter is left for {frame.columns[column]}: it is asked for and denied")
        return found

    def batch(self, adapter: Any, count: int) -> Batch:
        """Zeros, free where a letter is to be drawn, with what is given and what is allowed."""
        _, template = self._template(adapter)
        rows = self.rows(adapter, count)
        allowed = self.allowed(adapter, rows)
        free = torch.tensor([[letter == OPEN for letter in row] for row in rows])
        single = allowed.sum(-1) == 1
        if bool((single | ~free).all()) and all(row.count(GAP) == template.count(GAP) for row in rows):
            raise ConfigError("one letter is allowed in each place: there is nothing to draw")
        numbers = torch.stack([torch.from_numpy(adapter.letters.numbers(row.replace(OPEN, "A"))) for row in rows])
        mask = free[..., None].float().expand(-1, -1, adapter.codebook.size).contiguous()
        given = adapter.codebook.encode(numbers) * (1 - mask)
        return Batch(torch.zeros_like(given), mask, {GIVEN: given, ALLOWED: allowed})

    def steer(self, adapter: Any, denoiser: Denoiser) -> Denoiser:
        return Restricted(denoiser, adapter.codebook, self.temperature)

    def _template(self, adapter: Any) -> tuple[Frame, str]:
        """The frame of the model and the template in it; ConfigError where they do not go together."""
        if adapter.frame is None:
            raise ConfigError("this model makes sequences of free length: only aligned ones have regions to redesign")
        frame: Frame = adapter.frame
        text = self._letters(adapter)
        if frame.scheme in SCHEMES and (len(text) != len(frame) or (adapter.gaps and GAP not in text)):
            given, text = without_gaps(text), framed(text, frame)
            heavy = heavy_columns(frame)
            if any(without_gaps(part) not in given for part in (text[:heavy], text[heavy:])):
                raise PfgmError("numbering changed the letters of the template: give it in the columns of the model")
        if len(text) != len(frame):
            raise ConfigError(f"the template has {len(text)} columns, this model's sequences have {len(frame)}")
        return frame, text

    def _letters(self, adapter: Any) -> str:
        """The letters of the template as they are given; the chains of a pair one behind the other."""
        parts = halves(text_of(self.template)) if heavy_columns(adapter.frame) else [text_of(self.template)]
        return "".join(adapter.letters.normal(part) for part in parts)

    def _say_what_is_left_out(self, adapter: Any) -> None:
        _, text = self._template(adapter)
        given = without_gaps(self._letters(adapter))
        outside = len(given) - len(without_gaps(text))
        if outside:
            logging.getLogger(__name__).warning(
                "%d letters before or behind the variable domain of the template are left out of the designs", outside
            )

    @staticmethod
    def _check_letters(what: str, letters: str, symbols: str) -> None:
        strange = set(letters.upper()) - (set(symbols) - {GAP})
        if strange:
            raise ConfigError(f"{what}: {', '.join(sorted(strange))} is no letter of this model ({symbols})")


class Restricted(Wrapper):
    """A denoiser whose letters are among those allowed, at a temperature.

    The condition ALLOWED says which, [batch, columns, symbols]: the probabilities of the others are divided among them
    in proportion.
    """

    def __init__(self, denoiser: Denoiser, codebook: Codebook, temperature: float = 1.0) -> None:
        self.denoiser, self.codebook, self.temperature = denoiser, codebook, temperature

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        rest = dict(condition or {})
        allowed = rest.pop(ALLOWED).to(x.device)
        shares = self.codebook.probabilities(self.denoiser(x, sigma, rest, mask)) ** (1 / self.temperature)
        # Where the network rules all of them out, they are equally likely.
        shares = torch.where(allowed, shares, 0.0)
        total = shares.sum(-1, keepdim=True)
        even = allowed / allowed.sum(-1, keepdim=True).clamp(min=1)
        shares = torch.where(total > 1e-12, shares / total.clamp(min=1e-12), even.to(shares))
        answer = self.codebook.scale * (shares - 1 / self.codebook.size)
        return answer if mask is None else answer * mask.to(answer)


def drawn_of(row: str) -> set[int]:
    """The columns of a row that are to be drawn."""
    return {column for column, letter in enumerate(row) if letter == OPEN}


def _compare(row: str, text: str) -> None:
    """PfgmError unless a sample is the template wherever nothing was to be drawn, and has letters where it was."""
    for column, (asked, letter) in enumerate(zip(row, text, strict=True)):
        if letter != asked and (asked != OPEN or letter == GAP):
            raise PfgmError(
                f"column {column + 1} of a design is {letter!r} and not {asked!r}: a mistake of this program"
            )


def _loop(letters: int, order: Sequence[int]) -> list[str]:
    """So many letters to be drawn in the columns that are taken first, gaps in the others."""
    taken = set(order[:letters])
    return [OPEN if column in taken else GAP for column in range(len(order))]


def _column(place: str, row: str, frame: Frame) -> int:
    """The column of a place of a row that is to be drawn; ConfigError for one that is not."""
    region, colon, number = place.rpartition(":")
    if not colon:
        column = frame.column(place)
        if row[column] != OPEN:
            what = "a gap, here or in loops of this length" if row[column] == GAP else f"{row[column]} in the template"
            raise ConfigError(f"{place} is not drawn: it is {what}")
        return column
    drawn = [column for column in frame.region(region) if row[column] == OPEN]
    if not number.isdecimal() or not 1 <= int(number) <= len(drawn):
        raise ConfigError(f"{place}: {region} has {len(drawn)} letters to be drawn here, the first is {region}:1")
    return drawn[int(number) - 1]


def asked(
    template: Any,
    *,
    redesign: Sequence[str],
    lengths: Sequence[str] = (),
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    temperature: float = 1.0,
    seed: int = 0,
) -> Design:
    """A design in the words of the command line.

    redesign: regions. lengths: "10-16", "12" or "CDR-H3=10-16"; without a name for the only region. allow:
    "H3:3=CDE". deny: the same, letters in capitals for all places, or names of liabilities. ConfigError for words that
    make no sense.
    """
    bounds = {}
    for text in lengths:
        name, equals, span = text.rpartition("=")
        if not equals and len(redesign) != 1:
            raise ConfigError(f"--length {text}: several regions are redesigned, say which: {redesign[0]}={text}")
        low, dash, high = span.partition("-")
        if not (low.isdecimal() and (high.isdecimal() or not dash)):
            raise ConfigError(f"--length {text}: it must be a number, LOW-HIGH, or REGION=LOW-HIGH")
        region = name or redesign[0]
        if region in bounds:
            raise ConfigError(f"--length {text}: {region} has a length already")
        bounds[region] = (int(low), int(high or low))
    listed = [word.strip() for word in deny]
    words = [word for word in listed if "=" not in word]
    letters = "".join(word for word in words if word.isupper() and word.isalpha())
    motifs = [word for word in words if not (word.isupper() and word.isalpha())]
    denied = _places("deny", [word for word in listed if "=" in word])
    return Design(template, redesign, bounds, _places("allow", allow), letters, denied, motifs, temperature, seed)


def _places(option: str, words: Sequence[str]) -> dict[str, str]:
    """Place -> letters of words such as H3:3=CDE."""
    places: dict[str, str] = {}
    for word in words:
        place, _, letters = word.rpartition("=")
        if not (place and letters):
            raise ConfigError(f"--{option} {word}: it must be PLACE=LETTERS, such as H3:3=CDE or H107=AG")
        if place in places:
            raise ConfigError(f"--{option} {word}: {place} has a list already; put all letters into one")
        places[place] = letters
    return places
