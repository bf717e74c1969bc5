"""Target cells -> numbers."""

from __future__ import annotations

import math

import numpy as np

from preprocessing.card import Card, TargetColumn

MISSING = {"", "nan", "na", "n/a", "null", "none"}
"""Cells, in small letters, that say there is no value."""


def parse_targets(card: Card, cells: tuple[str, ...]) -> tuple[list[float], list[list[float]]]:
    """The graph-level values of a row, and the list of each node-level target (empty: missing), both scaled.

    Raises ValueError, saying which column is wrong or that all values are missing.
    """
    graph, node = [], []
    for target, cell in zip(card.targets, cells, strict=True):
        if target.level == "graph":
            graph.append(_number(target, cell))
        elif cell.strip().lower() in MISSING:
            node.append([])
        else:
            node.append([_number(target, part) for part in cell.replace(";", " ").split()])
    if card.targets and all(map(math.isnan, graph)) and not any(node):
        raise ValueError("no target value")
    return graph, node


def _number(target: TargetColumn, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        if cell.strip().lower() not in MISSING:
            raise ValueError(f"column '{target.column}' is not a number: '{cell}'") from None
        return math.nan
    if "_" in cell:  # Python reads 1_2 as 12; in a table it is a label
        raise ValueError(f"column '{target.column}' is not a number: '{cell}'")
    if math.isinf(value):
        raise ValueError(f"column '{target.column}' is infinite")
    return value * target.scale


def node_values(card: Card, values: list[list[float]], smiles: str, num_nodes: int) -> np.ndarray:
    """float64 `[nodes, node targets]` of one molecule; hydrogens that the SMILES only implies get NaN.

    Raises ValueError if a list is neither one value an atom of the SMILES nor one a node.
    """
    from rdkit import Chem

    atoms = Chem.MolFromSmiles(smiles).GetNumAtoms()
    table = np.full((num_nodes, len(values)), math.nan)
    columns = [target.column for target in card.targets if target.level == "node"]
    for place, (column, numbers) in enumerate(zip(columns, values, strict=True)):
        if len(numbers) not in (0, atoms, num_nodes):
            expected = f"{atoms}" if atoms == num_nodes else f"{atoms} (or {num_nodes} with hydrogens)"
            raise ValueError(f"column '{column}' has {len(numbers)} values, expected {expected}")
        table[: len(numbers), place] = numbers
    return table
