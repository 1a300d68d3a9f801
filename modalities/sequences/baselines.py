"""What sequences a model has to beat: letters in another order, and short memories of what came before.

S. F. Altschul and B. W. Erickson, Mol. Biol. Evol. 2, 526 (1985): a shuffle that keeps the count of every pair of
neighbours is a random Eulerian path through the letters.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np


def shuffled(text: str, rng: np.random.Generator) -> str:
    """The letters in another order, with the same first and last letter and as many of every pair of neighbours."""
    if len(text) < 3:
        return text
    followers: dict[str, list[str]] = defaultdict(list)
    for here, behind in itertools.pairwise(text):
        followers[here].append(behind)
    lasts = _tree({letter: tuple(behind) for letter, behind in followers.items()}, text[-1], rng)
    order = {}
    for letter, all_behind in followers.items():
        rest = list(all_behind)
        if letter in lasts:
            rest.remove(lasts[letter])
        order[letter] = [rest[i] for i in rng.permutation(len(rest))] + ([lasts[letter]] if letter in lasts else [])
    path = [text[0]]
    taken: Counter[str] = Counter()
    while len(path) < len(text):
        here = path[-1]
        path.append(order[here][taken[here]])
        taken[here] += 1
    return "".join(path)


def _tree(followers: dict[str, tuple[str, ...]], end: str, rng: np.random.Generator) -> dict[str, str]:
    """The last step from each letter but the end, drawn until all lead there: a random tree (D. Kandel, 1996)."""
    while True:
        lasts = {letter: behind[rng.integers(len(behind))] for letter, behind in followers.items() if letter != end}
        if all(_leads(letter, lasts, end) for letter in lasts):
            return lasts


def _leads(letter: str, lasts: dict[str, str], end: str) -> bool:
    for _ in range(len(lasts) + 1):
        if letter == end:
            return True
        letter = lasts[letter]
    return letter == end


class Markov:
    """The letter behind every `order` letters, as often as in some sequences; START stands before the first of them."""

    START, END = "^", "$"

    def __init__(self, texts: Sequence[str], order: int) -> None:
        self.order = order
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for text in texts:
            whole = self.START * order + text + self.END
            for at in range(order, len(whole)):
                counts[whole[at - order : at]][whole[at]] += 1
        self._next = {
            before: (list(found), np.array(list(found.values()), float) / sum(found.values()))
            for before, found in counts.items()
        }

    def draw(self, rng: np.random.Generator, longest: int) -> str:
        """A sequence that ends where one of those could; drawn again while it is longer than the longest or empty."""
        while True:
            text = self.START * self.order
            while not text.endswith(self.END) and len(text) <= longest + self.order:
                letters, shares = self._next[text[len(text) - self.order :]]
                text += letters[rng.choice(len(letters), p=shares)]
            if text.endswith(self.END) and len(text) > self.order + 1:
                return text[self.order : -1]
