"""Real molecules as graphs in one file, for machines without RDKit: `python -m benchmarks.gpu.file OUT.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.table import offsets_from_counts, smallest_uint

MOST_BYTES = 50 * 10**6


def write(path: Path, table: GraphTable) -> None:
    """Save a table of undirected graphs as a compressed `.npz` without pickled parts."""
    arrays = {"edge_index": table.edge_index, **{f"column.{name}": a for name, a in table.columns.items()}}
    for level in table.offsets:
        counts = table.counts(level)
        arrays[f"count.{level}"] = counts.astype(smallest_uint(counts.max(initial=0)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # a path would get the suffix .npz
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read(path: Path) -> GraphTable:
    """The table that `write` saved. Raises ValueError if it is damaged."""
    with np.load(path, allow_pickle=False) as arrays:
        parts: dict[str, dict[str, np.ndarray]] = {"count": {}, "column": {}}
        for name in arrays.files:
            kind, _, key = name.partition(".")
            if key:
                parts[kind][key] = arrays[name]
        offsets = {level: offsets_from_counts(counts) for level, counts in parts["count"].items()}
        return GraphTable(offsets, arrays["edge_index"], parts["column"]).validate()


def molecules(qm9: int, zinc: int) -> GraphTable:
    """Random molecules of QM9 and ZINC, shuffled together; `y` is the number of characters of the SMILES."""
    from benchmarks.molecules import ZINC, smiles
    from hydrasurr.graphs.smiles import featurize

    texts = smiles("QM9", qm9) + (smiles("ZINC", zinc) if zinc and ZINC.exists() else [])
    np.random.default_rng(0).shuffle(texts)
    graphs = featurize(texts)
    kept = [texts[place] for place in graphs.accepted.tolist()]
    return graphs.table.with_smiles(kept).with_columns(y=np.array([[len(text)] for text in kept], np.float64))


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    qm9: Annotated[int, typer.Option(help="Molecules of QM9; without the full set, of the shipped 5,000.")] = 100_000,
    zinc: Annotated[int, typer.Option(help="Molecules of ZINC, where it is there.")] = 50_000,
) -> None:
    """Prepare the molecules of `benchmarks/gpu.sh`. Needs RDKit."""
    table = molecules(qm9, zinc)
    write(out, table)
    size = out.stat().st_size
    typer.echo(f"{len(table):,} molecules, {table.num_nodes:,} atoms, {size / 1e6:.1f} MB: {out}")
    if size > MOST_BYTES:
        raise typer.BadParameter(f"{out} is larger than {MOST_BYTES / 1e6:.0f} MB; take fewer molecules")


if __name__ == "__main__":
    app()
