"""How batches come: who sees which graphs, block reads, shuffle, prefetch, collation."""

from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.loading.loader import BatchLoader, evaluation_batches
from hydrasurr.loading.plan import Share
from hydrasurr.loading.radius_graphs import RadiusGraphs

__all__ = ["AtomsBatch", "BatchLoader", "GraphBatch", "RadiusGraphs", "Share", "evaluation_batches"]
