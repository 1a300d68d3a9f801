"""Where the nodes of a drawn graph stand: without crossings if it is planar, near if they are joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from scipy.sparse.csgraph import connected_components, shortest_path

from modalities.graphs.simple import adjacency

if TYPE_CHECKING:
    from torch_geometric.data import Data

Array = np.ndarray[Any, Any]

_TUTTE = 20  # solutions of a drawing without crossings, each with better weights
_ROUNDS = 80  # of stress majorisation
_APART = 0.2  # of an edge: how near refinement may bring nodes and edges
_APART_IN_TREES = 0.05
_COMPARED, _REFINED = 1000, 200  # edges up to which all pairs are compared: once, in every round of refinement


def positions(graph: Data | nx.Graph | Array) -> Array:
    """Where to draw the nodes of a graph, or of an adjacency matrix: float64 [n, 2], edges about 1 long.

    The distance of two nodes on paper follows the one in the graph: stress majorisation (Gansner, Koren and North,
    Graph Drawing 2004) with the weights of Kamada and Kawai (1989). Planar graphs, trees among them, are drawn without
    crossings: where stress alone makes some, it starts from a drawing without and makes no step that would cause one.
    Parts that are not connected stand beside each other. Nothing is random.
    """
    matrix = np.asarray(graph, bool) if isinstance(graph, np.ndarray) else adjacency(graph)
    if not len(matrix):
        return np.zeros((0, 2))
    count, owner = connected_components(matrix, directed=False)
    parts = sorted((np.flatnonzero(owner == part) for part in range(count)), key=lambda part: -len(part))
    return _packed(parts, [_turned(_connected(matrix[np.ix_(part, part)])) for part in parts])


def crossings(places: Array, edges: Array) -> Array:
    """Which pairs of edges cross when drawn straight: pairs [k, 2] of indices into edges [m, 2], ends at places [n, 2].

    Edges with a common end do not count, unless they lie on each other.
    """
    return np.argwhere(np.triu(_cross(places, edges), 1))


def _connected(matrix: Array) -> Array:
    """Positions of the nodes of a connected graph."""
    nodes = len(matrix)
    if nodes <= 2:
        return np.array([[0.0, 0.0], [1.0, 0.0]])[:nodes]
    distances = shortest_path(matrix, unweighted=True)
    edges = np.argwhere(np.triu(matrix, 1))
    tree = len(edges) == nodes - 1
    sparse = len(edges) <= max(3 * nodes - 6, nodes)
    if not sparse or len(edges) <= _COMPARED:
        free = _majorised(distances, _fanned(matrix, distances) if tree else _scaled(distances))
        if not sparse or not _cross(free, edges).any():
            return free
    start = _fanned(matrix, distances) if tree else _embedded(matrix)
    if start is None:
        return free if len(edges) <= _COMPARED else _majorised(distances, _scaled(distances))
    if len(edges) > _REFINED:
        return start
    return _majorised(distances, start, edges, _APART_IN_TREES if tree else _APART)


def _majorised(distances: Array, start: Array, edges: Array | None = None, apart: float = 0.0) -> Array:
    """Positions of low stress, the sum of ((|x_u - x_v| - d_uv) / d_uv)^2, from a start without coinciding nodes.

    edges: those that must not cross, which they do not at the start, and that do not come nearer than apart.
    """
    nodes = len(distances)
    weights = 1 / np.where(distances > 0, distances, np.inf) ** 2
    inverse = np.linalg.inv(np.diag(weights.sum(1)) - weights + 1 / nodes)
    places = start
    for _ in range(_ROUNDS if edges is None else _ROUNDS // 2):
        ratios = weights * distances / np.maximum(_lengths(places), 1e-9)
        moved = inverse @ (ratios.sum(1)[:, None] * places - ratios @ places)
        if edges is not None:
            moved = _uncrossed(places, moved, edges, apart)
        still = float(np.abs(moved - places).max()) < 2e-3
        places = moved
        if still:
            break
    return places


def _uncrossed(places: Array, moved: Array, edges: Array, apart: float) -> Array:
    """The move, shortened or given up where edges would cross or come too near; none cross at places."""
    moved = moved.copy()
    near = _cross(places, edges, apart)
    for attempt in range(len(places) + 3):
        bad = (_cross(moved, edges, apart) & ~near) | _cross(moved, edges)
        if not bad.any():
            return moved
        nodes = np.unique(edges[bad.any(0)])
        moved[nodes] = (places[nodes] + moved[nodes]) / 2 if attempt < 2 else places[nodes]
    return places


def _cross(places: Array, edges: Array, margin: float = 1e-3) -> Array:
    """Which edges cross, touch or come as near as the margin: [m, m] booleans.

    Of edges with a common end those that lie on each other.
    """
    starts, ends = places[edges[:, 0]], places[edges[:, 1]]
    run = ends - starts
    length = np.maximum(np.sqrt((run**2).sum(1)), 1e-9)[:, None]
    run = run / length

    def seen(points: Array) -> tuple[Array, Array]:
        """[i, j]: where point j lies along line i, and on which side, 0 within the margin."""
        x, y = (points[None, :, k] - starts[:, None, k] for k in range(2))
        away = run[:, :1] * y - run[:, 1:] * x
        return run[:, :1] * x + run[:, 1:] * y, np.where(np.abs(away) <= margin, 0, np.sign(away))

    (first, left), (second, right) = seen(starts), seen(ends)
    meet = left * right <= 0
    level = (left == 0) & (right == 0)
    near, far = np.minimum(first, second), np.maximum(first, second)
    beside = (near < length + margin) & (far > -margin)
    along = (near < length - margin) & (far > margin)
    shared = (edges[:, None, :, None] == edges[None, :, None, :]).any((2, 3))
    both = meet & beside
    found: Array = np.where(shared, (level | level.T) & along & along.T, both & both.T)
    np.fill_diagonal(found, False)
    return found


def _lengths(places: Array) -> Array:
    return np.asarray(np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1)))


def _scaled(distances: Array) -> Array:
    """Classical scaling: the two main axes of distances [n, n], with a spiral added that parts coinciding nodes."""
    nodes = len(distances)
    centred = distances**2 - (distances**2).mean(0)
    gram = -(centred - centred.mean(1, keepdims=True)) / 2
    values, vectors = np.linalg.eigh(gram)
    angles = 2.399963 * np.arange(nodes)  # the golden angle
    spiral = np.sqrt(np.arange(nodes) / nodes)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0)) + 0.1 * spiral)


def _fanned(matrix: Array, distances: Array) -> Array:
    """A tree without crossings, edges 1 long: every branch in a sector of its own, as wide as it has leaves.

    The equal-angle drawing of J. Felsenstein, Inferring Phylogenies, 2004, chapter 34.
    """
    root = int(distances.max(1).argmin())
    depth = distances[root]
    order = np.argsort(depth, kind="stable").tolist()
    children = [np.flatnonzero(matrix[node] & (depth > depth[node])).tolist() for node in range(len(matrix))]
    leaves = np.ones(len(matrix))
    for node in reversed(order):
        leaves[node] = max(leaves[children[node]].sum(), 1)
    places = np.zeros((len(matrix), 2))
    begin = np.zeros(len(matrix))
    for node in order:
        angle = begin[node]
        for child in children[node]:
            begin[child] = angle
            width = 2 * np.pi * leaves[child] / leaves[root]
            middle = angle + width / 2
            places[child] = places[node] + (np.cos(middle), np.sin(middle))
            angle += width
    return places


def _embedded(matrix: Array) -> Array | None:
    """A planar graph without crossings, its largest face outside; None if it is not planar.

    Tutte's drawing (1963) of a triangulation: every inner node in the weighted mean of its neighbours (Floater 1997),
    where edges beside large faces weigh more, so that the inside is not crowded.
    """
    from networkx.algorithms.planar_drawing import triangulate_embedding

    planar, embedding = nx.check_planarity(nx.from_numpy_array(matrix))
    if not planar:
        return None
    triangulated, outer = triangulate_embedding(embedding, fully_triangulate=False)
    nodes = len(matrix)
    triangles = _triangles(triangulated, outer)
    angles = 2 * np.pi * np.arange(len(outer)) / len(outer)
    places = np.zeros((nodes, 2))
    places[outer] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inner = np.setdiff1d(np.arange(nodes), outer)
    joined = nx.to_numpy_array(nx.Graph(triangulated.edges), nodelist=range(nodes))
    weights = joined
    for _ in range(_TUTTE):
        laplacian = np.diag(weights.sum(1)) - weights
        places[inner] = np.linalg.solve(laplacian[np.ix_(inner, inner)], weights[np.ix_(inner, outer)] @ places[outer])
        weights = weights * (joined * _beside(places, triangles)) ** 0.5
        weights /= weights.max()
    return np.asarray(places / np.median(_lengths(places)[matrix]))


def _triangles(embedding: nx.PlanarEmbedding, outer: Sequence[int]) -> Array:
    """The inner faces [k, 3] of an embedding that is triangulated inside."""
    seen: set[tuple[int, int]] = set()
    faces = [embedding.traverse_face(u, v, seen) for u, v in embedding.edges if (u, v) not in seen]
    return np.array([face for face in faces if sorted(face) != sorted(outer)], np.int64).reshape(-1, 3)


def _beside(places: Array, triangles: Array) -> Array:
    """Areas beside every edge [n, n], in units of the mean, no less than a thousandth of it."""
    first, second, third = (places[triangles[:, k]] for k in range(3))
    along, up = second - first, third - first
    areas = np.abs(along[:, 0] * up[:, 1] - along[:, 1] * up[:, 0])
    beside = np.zeros((len(places), len(places)))
    for k in range(3):
        u, v = triangles[:, k], triangles[:, k - 1]
        np.add.at(beside, (u, v), areas)
        np.add.at(beside, (v, u), areas)
    return np.asarray(np.maximum(beside / max(float(areas.mean()), 1e-12), 1e-3))


def _turned(places: Array) -> Array:
    """Turned so that it fits into the smallest upright square."""
    angles = np.deg2rad(np.arange(0, 90, 3))
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles]
    return min((places @ turn for turn in turns), key=lambda turned: round(float(np.ptp(turned, axis=0).max()), 6))


def _packed(parts: Sequence[Array], drawn: Sequence[Array]) -> Array:
    """Drawings of parts in rows, the largest first, a gap of 1 between; parts: the nodes of each."""
    boxes = np.array([np.ptp(places, axis=0) + 1 for places in drawn])
    wide = max(float(boxes[:, 0].max()), 1.15 * float(boxes.prod(1).sum()) ** 0.5)
    spread = np.zeros((sum(map(len, parts)), 2))
    x = y = tall = 0.0
    for part, places, (width, height) in zip(parts, drawn, boxes, strict=True):
        if x + width > wide + 1e-9:
            x, y, tall = 0.0, y + tall, 0.0
        spread[part] = places - places.min(0) + (x, y)
        x, tall = x + width, max(tall, height)
    return spread
