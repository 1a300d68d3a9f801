"""What a person looks at: sheets of drawn graphs, their distributions, and one graph as it emerges along the flow."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from modalities.graphs.joint import edge_keys, node_keys
from modalities.graphs.metrics import evaluate, vun
from modalities.graphs.objects import checked
from modalities.graphs.positions import positions
from modalities.graphs.simple import adjacency
from pfgm_science.errors import DataError
from pfgm_science.figures import CSS_INCH, GENERATED, INK, MUTED, PAPER, REAL, label, new_figure
from pfgm_science.report import Figure as ReportFigure
from pfgm_science.report import Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch_geometric.data import Data

Array = np.ndarray[Any, Any]
Names = Mapping[str, Sequence[Any]]
Style = tuple[float, Any, str]  # width, dashes, colour
Shares = tuple[str, Array, Array, Array, Sequence[str]]

SHEET = 460  # CSS pixels across a sheet, about: two fit beside each other on a page
PAGE = 920  # CSS pixels across a figure that has the page to itself
MOST = 36  # graphs on a sheet
PAIRS = 12  # generated graphs that are shown with the nearest of the training set
BARS = 40  # of a histogram

_LINE = 16  # CSS pixels of a line of small type
_POINT = 72 / CSS_INCH
_NODE, _EDGE, _OTHER = "#3b6ea5", "#5d6675", "#a3aab5"
_COLOURS = ("#2b6cb0", "#e08e0b", "#2f9e62", "#c53030", "#805ad5", "#7b5b3a", "#d66ba0", "#38a3b8")
_STYLES: tuple[Style, ...] = (
    (1, "-", _EDGE),
    (1.4, (0, (3, 1.2)), _EDGE),
    (2.6, "-", _EDGE),
    (1.6, (0, (1, 1.1)), _EDGE),
)
_BONDS: tuple[Style, ...] = ((1, "-", _EDGE), (2.4, "-", _EDGE), (4, "-", _EDGE))
_REST: Style = (1.4, "-", "#c3c8d0")
_ELEMENTS = {
    **{5: ("B", "#d69a7a"), 6: ("C", "#4a5160"), 7: ("N", "#2f5fd0"), 8: ("O", "#d13438"), 9: ("F", "#57a639")},
    **{14: ("Si", "#b59a6a"), 15: ("P", "#e58a1f"), 16: ("S", "#d1b000"), 17: ("Cl", "#1f8f3a"), 34: ("Se", "#b57a00")},
    **{35: ("Br", "#8f2d1f"), 53: ("I", "#6d2fa0")},
}


def grid(objects: Sequence[Any], title: str = "", names: Names | None = None) -> Figure:
    """A sheet of the first graphs, in reading order: 36 small ones, fewer if they are larger.

    objects: PyG `Data` or networkx graphs, at least one. names: words of categories, key -> words. Nodes are coloured
    by their first categorical attribute, the lines of edges follow theirs. Molecules are drawn as structural formulas
    if RDKit is installed, else coloured by element. See `positions` for where nodes stand; a real attribute `pos`
    [nodes, 2] says so itself. The same graphs make the same picture.

    Raises DataError for an empty list and for what is no usable graph.
    """
    graphs, words = checked(objects, names)
    if not graphs:
        raise DataError("there are no graphs to draw: at least one is needed")
    return _sheet(graphs, _Look.of(graphs, {**(names or {}), **words}), title)


def emergence(panels: Sequence[tuple[float, Array, Array]], title: str = "", validity: Sequence[str] = ()) -> Figure:
    """One graph along the flow, from left to right: the state of its pairs above, the estimate of its edges below.

    panels: (noise level sigma, state [n, n], chance [n, n] of every edge in [0, 1]); the last one, at sigma 0, is the
    final graph, whose edges have a chance above 1/2. Its layout holds for all: nodes below, and the order of rows
    above, which brings neighbours together. Opacity is the chance; edges that the final graph does not have are orange.
    A state is shown between plus and minus twice its root mean square. validity: a word below every panel, or none.

    Raises DataError for panels of different shapes, chances outside [0, 1], and a last panel that is not at sigma 0.
    """
    sigmas, states, chances = _checked_panels(panels, validity)
    final = chances[-1] > 0.5
    np.fill_diagonal(final, False)
    order = _order(final)
    size = min(PAGE // len(sigmas), 170) - 8
    foot = _LINE * (2 if validity else 1)
    names = 54
    figure, ax = _canvas(names + len(sigmas) * (size + 8), 2 * size + 12 + foot + _LINE, title)
    top, below = _LINE, _LINE + size + 12
    places = _fitted(positions(final), size)
    low, high = np.nonzero(np.triu(np.ones_like(final), 1))
    for name, y in (("state", top), ("estimate", below)):
        _say(ax, 0, y + size / 2, name, va="center")
    for k, (sigma, state, chance) in enumerate(zip(sigmas, states, chances, strict=True)):
        left = names + k * (size + 8)
        _say(ax, left + size / 2, top - 4, f"σ = {sigma:.3g}", colour=MUTED, ha="center")
        scale = 2 * max(float(np.sqrt((state**2).mean())), 1e-12)
        ax.imshow(
            state[np.ix_(order, order)],
            cmap="PuOr_r",
            vmin=-scale,
            vmax=scale,
            interpolation="nearest",
            aspect="auto",
            extent=(left, left + size, top + size, top),
            zorder=1,
        )
        spots = places + np.array([left, below])
        seen = chance[low, high] > 0.02
        for colour, chosen in ((GENERATED, seen & ~final[low, high]), (INK, seen & final[low, high])):
            ends = spots[np.stack([low[chosen], high[chosen]], axis=1)]
            _lines(ax, ends, _thickness(len(final), size), colour, opacity=chance[low, high][chosen])
        _dots(ax, spots, _diameter(len(final), size), _NODE)
        if validity:
            _say(ax, left + size / 2, below + size + _LINE, validity[k], colour=MUTED, ha="center")
    return figure


def on_its_way(panels: Sequence[tuple[float, Array, Array]]) -> Section:
    """The section of a report with `emergence` in it."""
    text = (
        "One graph on its way from the prior to the data, at falling noise levels. Above, the state: every pair of "
        "nodes is a number, which ends at +1 where there is an edge and at -1 where there is none. Below, what the "
        "network takes the finished graph to be: the darker an edge, the likelier; orange are edges that the finished "
        "graph does not have."
    )
    figure = ReportFigure(emergence(panels), alt="A graph that emerges out of noise, at falling noise levels")
    return Section("How a graph emerges", text, [figure])


def neighbours(
    generated: Sequence[Any], nearest_training: Sequence[Any], distances: Array, names: Names | None = None
) -> Figure:
    """Pairs: above a generated graph, below it the training graph nearest to it, and their distance.

    distances: [n], in whatever units; the first twelve pairs are shown.
    """
    count = min(len(generated), len(nearest_training), PAIRS)
    graphs, words = checked([*generated[:count], *nearest_training[:count]], names)
    if not graphs:
        raise DataError("there are no graphs to draw: at least one pair is needed")
    return _pairs(graphs[:count], graphs[count:], distances, _Look.of(graphs, {**(names or {}), **words}))


def sections(
    real: Sequence[Any],
    generated: Sequence[Any],
    nearest: Sequence[Any] | None,
    distances: Array | None,
    names: Names | None = None,
) -> list[Section]:
    """What a report shows of graphs: sheets, distributions, and the nearest training graphs if they are known.

    names: words of categories, key -> words. Raises DataError when either set is empty.
    """
    if not len(real) or not len(generated):
        raise DataError(f"there are {len(real)} real and {len(generated)} generated graphs: each must be at least 1")
    close = [] if nearest is None or distances is None else list(nearest[: min(PAIRS, len(generated))])
    graphs, words = checked([*real, *generated, *close], names)
    first, second = graphs[: len(real)], graphs[len(real) : len(real) + len(generated)]
    look = _Look.of(graphs, {**(names or {}), **words})
    kind = "molecules" if look.molecules else "graphs"
    found = [_sheets(first, second, look, kind), _distributions(first, second, look, kind), *_statistics(first, second)]
    if close and distances is not None:
        text = (
            f"Below each of these generated {kind} stands the one of the training set that is nearest to it in the "
            "features of the measures, with the Euclidean distance. A copy has distance 0, however it is drawn; the "
            "features do not tell everything apart, so that distance 0 alone does not prove a copy."
        )
        pairs = ReportFigure(
            _pairs(second[: len(close)], graphs[len(graphs) - len(close) :], distances, look),
            caption=f"The first {len(close)} generated {kind}.",
            alt=f"{len(close)} generated {kind}, each above the nearest one of the training set",
        )
        found.append(Section(f"Nearest training {kind}", text, [pairs]))
    return found


@dataclass(frozen=True)
class _Look:
    """How nodes and edges are told apart, the same for all figures of a page.

    node, edge: the attributes that are shown, "" for none; words: what to call their categories.
    """

    node: str
    edge: str
    node_codes: tuple[int, ...]
    edge_codes: tuple[int, ...]
    words: Names
    molecules: bool
    placed: bool

    @classmethod
    def of(cls, graphs: Sequence[Data], words: Names) -> _Look:
        keys = {"node": node_keys(graphs), "edge": edge_keys(graphs)}
        chosen = {place: [key for key in found if _categorical(graphs, key)] for place, found in keys.items()}
        molecules = "z" in chosen["node"] and "edge_attr" in chosen["edge"]
        node = "z" if molecules else next(iter(chosen["node"]), "")
        edge = "edge_attr" if molecules else next(iter(chosen["edge"]), "")
        placed = "pos" in keys["node"] and all(graph.pos.shape[1:] == (2,) for graph in graphs)
        return cls(node, edge, _codes(graphs, node), _codes(graphs, edge), words, molecules, placed)

    @property
    def formulas(self) -> bool:
        """Whether RDKit draws."""
        return self.molecules and importlib.util.find_spec("rdkit") is not None

    @cached_property
    def colours(self) -> dict[int, str]:
        """Code -> colour of the most frequent categories of nodes."""
        if self.molecules:
            return {code: _ELEMENTS[code][1] for code in sorted(self.node_codes) if code in _ELEMENTS}
        return dict(zip(sorted(self.node_codes[: len(_COLOURS)]), _COLOURS, strict=False))

    @cached_property
    def styles(self) -> dict[int, Style]:
        """Code -> style of the most frequent categories of edges."""
        known = _BONDS if self.molecules else _STYLES
        return dict(zip(sorted(self.edge_codes[: len(known)]), known, strict=False))

    def word(self, key: str, code: int) -> str:
        if self.molecules and key == "z":
            return _ELEMENTS[code][0] if code in _ELEMENTS else f"element {code}"
        if self.molecules and key == "edge_attr":
            return {1: "single", 2: "double", 3: "triple"}.get(code, str(code))
        words = self.words.get(key, ())
        return str(words[code]) if 0 <= code < len(words) else str(code)

    def legend(self) -> list[tuple[str, list[tuple[str, Any]]]]:
        """Lines of (attribute, [(word, colour or style)])."""
        lines: list[tuple[str, list[tuple[str, Any]]]] = []
        if self.formulas:
            return lines
        for key, codes, marks, other in (
            (self.node, self.node_codes, self.colours, _OTHER),
            (self.edge, self.edge_codes, self.styles, _REST),
        ):
            entries: list[tuple[str, Any]] = [(self.word(key, code), mark) for code, mark in marks.items()]
            if set(codes) - set(marks):
                entries.append(("other", other))
            if key and entries:
                lines.append(({"z": "atoms", "edge_attr": "bonds"}.get(key, key) if self.molecules else key, entries))
        return lines


def _categorical(graphs: Sequence[Data], key: str) -> bool:
    return all(not graph[key].is_floating_point() for graph in graphs)


def _codes(graphs: Sequence[Data], key: str) -> tuple[int, ...]:
    """Categories that occur, the most frequent first."""
    if not key:
        return ()
    counts = Counter(int(code) for graph in graphs for code in graph[key].flatten().tolist())
    return tuple(code for code, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


# Sheets


def _columns(graphs: Sequence[Data], look: _Look) -> int:
    """Panels in a row: fewer for graphs that need room."""
    typical = float(np.mean([int(graph.num_nodes or 0) for graph in graphs]))
    if look.formulas:
        return 5 if typical <= 12 else 4
    return 6 if typical <= 12 else 5 if typical <= 32 else 4


def _sheet(graphs: Sequence[Data], look: _Look, title: str, columns: int = 0) -> Figure:
    columns = columns or _columns(graphs[:MOST], look)
    shown = graphs[: min(columns * columns, MOST)]
    panel = SHEET // columns
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    width = SHEET if look.legend() or len(shown) < len(graphs) else columns * panel
    strip = _legend_height(look, width)
    more = f"{len(graphs) - len(shown):,} more are not drawn" if len(shown) < len(graphs) else ""
    figure, ax = _canvas(width, rows * panel + strip + (_LINE if more else 0), title)
    corners = [(i % columns * panel, i // columns * panel) for i in range(len(shown))]
    _draw(ax, shown, corners, panel, look)
    _legend(ax, look, rows * panel, width)
    if more:
        _say(ax, 0, rows * panel + strip + _LINE - 4, more, colour=MUTED)
    return figure


def _pairs(generated: Sequence[Data], nearest: Sequence[Data], distances: Array, look: _Look) -> Figure:
    columns = min(6, len(generated))
    names, panel, caption = 76, 132, 22
    band = 2 * panel + caption
    bands = -(-len(generated) // columns)
    width = max(names + columns * panel, SHEET)
    figure, ax = _canvas(width, bands * band + _legend_height(look, width))
    places = [(names + i % columns * panel, i // columns * band) for i in range(len(generated))]
    _draw(ax, [*generated, *nearest], [*places, *((x, y + panel) for x, y in places)], panel, look)
    for row in range(bands):
        for name, shift in (("generated", 0.5), ("nearest in\ntraining set", 1.5)):
            _say(ax, 0, row * band + shift * panel, name, va="center")
    for (x, y), distance in zip(places, distances, strict=False):
        _say(ax, x + panel / 2, y + 2 * panel + 10, f"{distance:.2f}", colour=MUTED, ha="center")
    _legend(ax, look, bands * band, width)
    return figure


def _draw(ax: Axes, graphs: Sequence[Data], corners: Sequence[tuple[float, float]], panel: int, look: _Look) -> None:
    """Graphs in squares of so many CSS pixels whose upper left corners are given."""
    if look.formulas:
        from modalities.graphs.molecules import draw

        pixels = np.asarray(draw(graphs, columns=1, panel=panel).axes[0].images[0].get_array())
        for picture, (x, y) in zip(np.split(pixels, len(graphs)), corners, strict=True):
            ax.imshow(picture, extent=(x, x + panel, y + panel, y), interpolation="antialiased", aspect="auto")
        return
    for graph, corner in zip(graphs, corners, strict=True):
        given = graph.pos.numpy().astype(np.float64) * (1, -1) if look.placed else None
        _graph(ax, graph, _fitted(positions(graph) if given is None else given, panel) + corner, panel, look)


def _graph(ax: Axes, graph: Data, places: Array, panel: int, look: _Look) -> None:
    nodes = len(places)
    low, high = graph.edge_index.numpy()
    upper = low < high
    ends = places[np.stack([low[upper], high[upper]], axis=1)]
    width = _thickness(nodes, panel)
    opacity = float(np.clip(6 * nodes / max(len(ends), 1) ** 1.15, 0.25, 0.9))
    styles, codes = [(1.0, "-", _EDGE)], np.zeros(len(ends), np.int64)
    if look.edge:
        styles = [*look.styles.values(), _REST]
        codes = _places_of(graph[look.edge].flatten().numpy()[upper], list(look.styles))
    for index, (factor, dashes, colour) in enumerate(styles):
        _lines(ax, ends[codes == index], factor * width, colour, dashes, opacity)
    diameter = _diameter(nodes, panel) * (1.25 if look.node else 1)
    colours, codes = [_NODE], np.zeros(nodes, np.int64)
    if look.node:
        colours = [*look.colours.values(), _OTHER]
        codes = _places_of(graph[look.node].flatten().numpy(), list(look.colours))
    for index, shade in enumerate(colours):
        _dots(ax, places[codes == index], diameter, shade)


def _places_of(codes: Array, known: Sequence[int]) -> Array:
    """Where each code stands among the known ones; behind the last if it does not."""
    place = {code: index for index, code in enumerate(known)}
    return np.array([place.get(code, len(known)) for code in codes.tolist()], np.int64)


def _fitted(places: Array, panel: int) -> Array:
    """Positions in a square of so many pixels, with a margin; edges of length 1 no longer than 2/5 of it."""
    margin = _diameter(len(places), panel) / 2 + 0.06 * panel
    low, high = places.min(0), places.max(0)
    reach = max(float((high - low).max()), 1e-9)
    scale = min((panel - 2 * margin) / reach, 0.4 * panel)
    return np.asarray((places - (low + high) / 2) * scale + panel / 2)


def _diameter(nodes: int, panel: int) -> float:
    return float(np.clip(0.3 * panel / max(nodes, 1) ** 0.5, 2.2, 9))


def _thickness(nodes: int, panel: int) -> float:
    return float(np.clip(0.055 * panel / max(nodes, 1) ** 0.5, 0.6, 1.4))


def _canvas(width: int, height: int, title: str = "") -> tuple[Figure, Axes]:
    """A figure with one axes that measures in CSS pixels from its upper left corner, below the title."""
    from matplotlib.figure import Figure

    above = 21 if title else 0
    figure = Figure(figsize=(width / CSS_INCH, (height + above) / CSS_INCH), facecolor=PAPER)
    ax = figure.add_axes((0, 0, 1, height / (height + above)))
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_autoscale_on(False)
    ax.set_axis_off()
    if title:
        figure.text(0, 1, title, va="top", ha="left", fontsize=9.5, color=INK)
    return figure, ax


def _say(ax: Axes, x: float, y: float, text: str, colour: str = INK, ha: str = "left", va: str = "baseline") -> None:
    ax.text(x, y, text, fontsize=8, color=colour, ha=ha, va=va)


def _lines(ax: Axes, ends: Array, width: float, colour: str, dashes: Any = "-", opacity: float | Array = 1.0) -> None:
    """Lines between ends [m, 2, 2], width in CSS pixels."""
    from matplotlib.collections import LineCollection

    if len(ends):
        ax.add_collection(
            LineCollection(
                list(ends), linewidths=width * _POINT, colors=colour, linestyles=[dashes], alpha=opacity, zorder=2
            ),
            autolim=False,
        )


def _dots(ax: Axes, places: Array, diameter: float, colour: str) -> None:
    """Discs at places [n, 2], diameter in CSS pixels, with a white rim that parts them from lines."""
    if len(places):
        ax.scatter(
            places[:, 0],
            places[:, 1],
            s=(diameter * _POINT) ** 2,
            color=colour,
            edgecolors=PAPER,
            linewidths=min(0.09 * diameter, 0.7) * _POINT,
            zorder=3,
        )


def _placed_entries(look: _Look, width: int) -> Iterator[tuple[float, int, str, Any]]:
    """Entries of the legend as (x, line, word, mark), broken into lines of width; a heading has no mark."""
    line = 0
    for name, entries in look.legend():
        indent = _extent(name) + 10
        yield 0, line, name, None
        x = indent
        for word, mark in entries:
            needed = (26 if isinstance(mark, tuple) else 14) + _extent(word) + 10
            if x + needed > width and x > indent:
                x, line = indent, line + 1
            yield x, line, word, mark
            x += needed
        line += 1


def _legend_height(look: _Look, width: int) -> int:
    lines = [line for _, line, _, _ in _placed_entries(look, width)]
    return (max(lines) + 1) * _LINE + 8 if lines else 0


def _legend(ax: Axes, look: _Look, top: float, width: int) -> None:
    for x, line, word, mark in _placed_entries(look, width):
        y = top + 8 + (line + 0.5) * _LINE
        if isinstance(mark, tuple):
            _lines(ax, np.array([[(x, y), (x + 20, y)]]), mark[0] * 1.2, mark[2], mark[1])
        elif mark:
            _dots(ax, np.array([(x + 5, y)]), 8, mark)
        shift = 0 if mark is None else 26 if isinstance(mark, tuple) else 14
        _say(ax, x + shift, y, word, MUTED if mark is None else INK, va="center_baseline")


def _extent(text: str) -> float:
    """CSS pixels of a line of small type."""
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=8).get_extents().width) / _POINT if text.strip() else 0.0


# Sections


def _sheets(real: Sequence[Data], generated: Sequence[Data], look: _Look, kind: str) -> Section:
    columns = _columns([*real[:MOST], *generated[:MOST]], look)
    shown = min(len(real), len(generated), columns * columns)
    text = (
        f"Neither is selected: these are the first {shown} of {len(real):,} real and of {len(generated):,} generated "
        f"{kind}."
    )
    if not look.formulas and not look.placed:
        text += " Planar graphs are drawn without crossings: a crossing shows a graph that is not planar."
    items = [
        ReportFigure(
            _sheet(graphs[:shown], look, title, columns), alt=f"Sheet of {shown} {title.lower()} {kind}, drawn"
        )
        for graphs, title in ((real, "Real"), (generated, "Generated"))
    ]
    return Section(f"Real and generated {kind}", text, items)


def _distributions(real: Sequence[Data], generated: Sequence[Data], look: _Look, kind: str) -> Section:
    panels = list(_shares(real, generated, look))
    columns = 4 if len(panels) <= 4 else 3
    rows = -(-len(panels) // columns)
    figure, axes = new_figure(PAGE / CSS_INCH, 2.1 * rows, rows, columns)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, panel in zip(axes, panels, strict=False):
        _histogram(ax, *panel)
    names = [name for name, *_ in panels]
    text = f"Shares of {len(real):,} real and {len(generated):,} generated {kind}. Grey is real, orange is generated."
    alt = f"Histograms of real and generated {kind}: {', '.join(names)}"
    return Section(f"Distributions of {kind}", text, [ReportFigure(figure, alt=alt)])


def _statistics(real: Sequence[Data], generated: Sequence[Data]) -> list[Section]:
    """The field's statistics, with the same between two halves of the real graphs as the floor; nothing for too few."""
    half = len(real) // 2
    if half < 2:
        return []
    report = evaluate(generated[:half], real[:half], real[half : 2 * half])
    rows: list[tuple[str, float | str, float | str]] = [
        (f"MMD, {name}", report.mmd[name], report.reference[name]) for name in report.mmd
    ]
    share = vun(generated, real)
    rows += [("unique", share.unique, vun(real, real).unique), ("not among the real graphs shown", share.novel, "")]
    text = (
        f"Squared MMD with the TV kernel between {half} generated and {half} real graphs; the floor is the same "
        f"between two sets of {half} real graphs. Unique and new by exact isomorphism, attributes left aside."
    )
    return [Section("Statistics of graphs", text, [Table(("measure", "generated", "floor"), rows)])]


def _shares(real: Sequence[Data], generated: Sequence[Data], look: _Look) -> Iterator[Shares]:
    """Histograms of either set: (name, edges of bins, shares of real, of generated, words of bins or none)."""
    from modalities.graphs.statistics import CLUSTERING_BINS, describe

    sizes, edges = ([_whole(graphs, what) for graphs in (real, generated)] for what in ("num_nodes", "num_edges"))
    if look.molecules:
        yield "atoms", *_by_number(*sizes), ()
        yield "rings", *_by_number(_rings(real), _rings(generated)), ()
    else:
        yield "nodes", *_by_number(*sizes), ()
        yield "edges per node", *_by_value(*(edge / size for edge, size in zip(edges, sizes, strict=True))), ()
        found = describe([*real, *generated], ("degree", "clustering"))
        degree, clustering = ((rows[: len(real)].mean(0), rows[len(real) :].mean(0)) for rows in found.values())
        yield "degree of nodes", *_merged(np.arange(len(degree[0]) + 1) - 0.5, *degree), ()
        merged = (shares.reshape(20, CLUSTERING_BINS // 20).sum(1) for shares in clustering)
        yield "clustering of nodes", np.linspace(0, 1, 21), *merged, ()
    for key, codes, name in ((look.node, look.node_codes, "elements"), (look.edge, look.edge_codes, "bonds")):
        if codes:
            known = sorted(codes[:8])
            counts = [_tally(graphs, key, known) for graphs in (real, generated)]
            words = [look.word(key, code) for code in known] + (["other"] if len(known) < len(codes) else [])
            bins = np.arange(len(words) + 1) - 0.5
            yield name if look.molecules else key, bins, counts[0][: len(words)], counts[1][: len(words)], words


def _whole(graphs: Sequence[Data], what: str) -> Array:
    numbers: Array = np.array([int(getattr(graph, what) or 0) for graph in graphs])
    return numbers // 2 if what == "num_edges" else numbers


def _rings(graphs: Sequence[Data]) -> Array:
    """Independent rings of each molecule: edges - nodes + parts."""
    parts = np.array([connected_components(adjacency(graph), directed=False)[0] for graph in graphs])
    return np.asarray(_whole(graphs, "num_edges") - _whole(graphs, "num_nodes") + parts)


def _tally(graphs: Sequence[Data], key: str, known: Sequence[int]) -> Array:
    """Shares of the known categories and of all others."""
    codes = np.concatenate([graph[key].flatten().numpy() for graph in graphs])
    counts = np.array([*((codes == code).sum() for code in known), (~np.isin(codes, known)).sum()])
    return np.asarray(counts / max(len(codes), 1))


def _by_number(real: Array, generated: Array) -> tuple[Array, Array, Array]:
    low, high = (int(pick(np.concatenate([real, generated]))) for pick in (np.min, np.max))
    bins = np.arange(low, high + 2) - 0.5
    return _merged(bins, *(np.histogram(values, bins)[0] / len(values) for values in (real, generated)))


def _by_value(real: Array, generated: Array) -> tuple[Array, Array, Array]:
    both = np.concatenate([real, generated])
    low, high = float(both.min()), float(both.max())
    pad = 0.05 if high - low < 1e-9 else 0.0
    count = int(np.clip(2 * min(len(real), len(generated)) ** 0.5, 5, BARS // 2))
    bins = np.linspace(low - pad, high + pad, count + 1)
    first, second = (np.histogram(values, bins)[0] / len(values) for values in (real, generated))
    return bins, first, second


def _merged(bins: Array, first: Array, second: Array) -> tuple[Array, Array, Array]:
    """Bins of one number each, put together so that there are no more than `BARS`."""
    width = -(-len(first) // BARS)
    starts = np.arange(0, len(first), width)
    edges = bins[0] + width * np.arange(len(starts) + 1)
    return edges, np.add.reduceat(first, starts), np.add.reduceat(second, starts)


def _histogram(ax: Axes, name: str, bins: Array, real: Array, generated: Array, words: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.stairs(real, bins, fill=True, color=REAL, alpha=0.45)
    ax.stairs(generated, bins, color=GENERATED, linewidth=1.3)
    ax.set_ylim(0, 1.08 * max(float(real.max()), float(generated.max()), 1e-9))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    label(ax, name)
    if words:
        tilted = max(map(len, words)) * len(words) > 30
        ax.set_xticks(range(len(words)), words, rotation=40 if tilted else 0, ha="right" if tilted else "center")
    else:
        whole = float(bins[0]) % 1 == 0.5
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=whole, min_n_ticks=1 if whole else 2))


# Emergence


def _checked_panels(
    panels: Sequence[tuple[float, Array, Array]], validity: Sequence[str]
) -> tuple[list[float], list[Array], list[Array]]:
    if not panels:
        raise DataError("there are no panels to draw: at least one is needed, the final graph at sigma 0")
    sigmas = [float(sigma) for sigma, _, _ in panels]
    states, chances = ([np.asarray(panel[i], np.float64) for panel in panels] for i in (1, 2))
    shapes = {matrix.shape for matrix in (*states, *chances)}
    if len(shapes) > 1 or any(len(shape) != 2 or shape[0] != shape[1] or not shape[0] for shape in shapes):
        raise DataError(f"states and chances have the shapes {sorted(shapes)}: all must be one shape [n, n]")
    if any(not np.isfinite(matrix).all() for matrix in states):
        raise DataError("a state is not finite: it must be numbers")
    if any(not ((matrix >= 0) & (matrix <= 1)).all() for matrix in chances):
        raise DataError("a chance of an edge is not between 0 and 1")
    if sigmas[-1] != 0:
        raise DataError(f"the last panel is at sigma {sigmas[-1]:g}: it must be the final graph, at sigma 0")
    if len(validity) not in (0, len(panels)):
        raise DataError(f"{len(validity)} captions for {len(panels)} panels: give one each, or none")
    return sigmas, states, chances


def _order(matrix: Array) -> Array:
    """Nodes along the second eigenvector of the random walk on the graph, which brings neighbours together."""
    from modalities.graphs.statistics import normalised_laplacian

    if len(matrix) < 3:
        return np.arange(len(matrix))
    vector = np.linalg.eigh(normalised_laplacian(matrix))[1][:, 1] / np.maximum(matrix.sum(1), 1) ** 0.5
    return np.argsort(vector.round(9), kind="stable")
