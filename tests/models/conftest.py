"""Random graphs in plain NumPy, and the same graphs as PyG would see them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from hydrasurr.graphs.schema import Feature, FeatureSchema, Target
from hydrasurr.graphs.table import GraphTable, offsets_from_counts
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.network import GraphNetwork


def _feature(name: str, size: int) -> Feature:
    return Feature(name, tuple(map(str, range(size))))


SCHEMA = FeatureSchema(
    nodes=(_feature("element", 7), _feature("charge", 3), _feature("ring", 2)),
    edges=(_feature("order", 4), _feature("stereo", 3)),
)
TARGETS = (Target("energy", "eV"), Target("charge", "e", "node"), Target("gap", "eV"))


def random_table(seed: int, num_graphs: int = 12, max_degree: int = 6, directed: bool = False) -> GraphTable:
    """Graphs of 1 to 14 nodes; the first is a single atom, the second a star with `max_degree` arms."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 15, num_graphs)
    sizes[:2] = (1, max_degree + 1)[:num_graphs]
    ends, edge_counts = [], []
    for graph, size in enumerate(sizes):
        pairs = np.argwhere(np.triu(np.ones((size, size)), 1))
        rng.shuffle(pairs)
        if graph == 1:
            pairs = pairs[pairs[:, 0] == 0]
        degree, kept = np.zeros(size, int), []
        for a, b in pairs[: rng.integers(0, 2 * size) if graph != 1 else None]:
            if max(degree[a], degree[b]) < max_degree:
                degree[[a, b]] += 1
                kept += [(a, b), (b, a)] if directed else [(a, b)]
        ends += kept
        edge_counts.append(len(kept))
    nodes, edges = int(sizes.sum()), len(ends)

    def codes(rows: int, features: tuple[Feature, ...]) -> np.ndarray:
        return np.stack([rng.integers(0, len(f.values), rows) for f in features], 1).astype(np.uint8)

    return GraphTable(
        offsets={"node": offsets_from_counts(sizes), "edge": offsets_from_counts(np.array(edge_counts))},
        edge_index=np.array(ends, np.uint8).reshape(edges, 2).T,
        columns={
            "x": codes(nodes, SCHEMA.nodes),
            "edge_attr": codes(edges, SCHEMA.edges),
            "y": rng.normal(size=(num_graphs, 2)),
            "node_y": rng.normal(size=(nodes, 1)),
        },
        directed=directed,
    ).validate()


def single_atoms(num_graphs: int = 5) -> GraphTable:
    """Graphs of one node and no edges."""
    return GraphTable(
        offsets={
            "node": np.arange(num_graphs + 1, dtype=np.int64),
            "edge": np.zeros(num_graphs + 1, np.int64),
        },
        edge_index=np.zeros((2, 0), np.uint8),
        columns={
            "x": np.arange(3 * num_graphs, dtype=np.uint8).reshape(num_graphs, 3) % np.uint8(2),
            "edge_attr": np.zeros((0, 2), np.uint8),
        },
    ).validate()


def relabelled(table: GraphTable, seed: int) -> tuple[GraphTable, np.ndarray, np.ndarray]:
    """The same molecules with graphs, nodes and edges in another order, and bonds written from the other end.

    Also int64 arrays: the old place of each new graph and of each new node.
    """
    rng = np.random.default_rng(seed)
    graphs = rng.permutation(len(table))
    x, edge_index, edge_attr, old_nodes = [], [], [], []
    for g in graphs:
        one = table[int(g)]
        order = rng.permutation(one.num_nodes)
        bonds = rng.permutation(one.num_edges)
        place = np.argsort(order)
        ends = place[one.edge_index[:, bonds].astype(np.int64)]
        flipped = rng.random(one.num_edges) < 0.5
        ends[:, flipped] = ends[::-1, flipped]
        x.append(one.x[order])
        edge_index.append(ends)
        edge_attr.append(one.edge_attr[bonds])
        old_nodes.append(table.node_offset[g] + order)
    new = GraphTable(
        offsets={level: offsets_from_counts(table.counts(level)[graphs]) for level in ("node", "edge")},
        edge_index=np.concatenate(edge_index, 1).astype(np.uint8),
        columns={"x": np.concatenate(x), "edge_attr": np.concatenate(edge_attr)},
    )
    return new.validate(), graphs, np.concatenate(old_nodes)


def natural_edges(table: GraphTable) -> tuple[Tensor, Tensor]:
    """`edge_index` int64 `[2, E]` and `edge_attr` uint8 `[E, features]` edge by edge, in the order of the table."""
    ends, features = [], []
    for g in range(len(table)):
        first = int(table.node_offset[g])
        for e in range(int(table.edge_offset[g]), int(table.edge_offset[g + 1])):
            a, b = (first + int(end) for end in table.edge_index[:, e])
            ends.append((a, b))
            features.append(table.edge_attr[e])
            if not table.directed:
                ends.append((b, a))
                features.append(table.edge_attr[e])
    index = torch.tensor(ends, dtype=torch.int64).reshape(-1, 2).T
    return index, torch.from_numpy(np.array(features, np.uint8).reshape(-1, table.edge_attr.shape[1]))


def network(table: GraphTable, seed: int = 0, targets: tuple[Target, ...] = TARGETS, **config) -> GraphNetwork:
    """A float64 network in eval mode whose batch norm has seen the table."""
    torch.manual_seed(seed)
    degrees = GraphBatch.from_table(table).degree_counts
    count = len(targets)
    config = ModelConfig.model_validate({"hidden": 8, "layers": 2} | config)
    net = GraphNetwork(config, SCHEMA, targets, np.arange(count), np.arange(1, count + 1), degrees).double()
    net(GraphBatch.from_table(table))
    return net.eval()


@pytest.fixture(scope="session")
def graphs() -> SimpleNamespace:
    """The helpers above, for tests."""
    return SimpleNamespace(
        schema=SCHEMA,
        targets=TARGETS,
        random_table=random_table,
        single_atoms=single_atoms,
        relabelled=relabelled,
        natural_edges=natural_edges,
        network=network,
    )
