"""How batches come: who sees which graphs, block reads, shuffle, prefetch, collation."""

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.loading.loader import BatchLoader, evaluation_batches
from hydrasurr.loading.plan import Share

__all__ = ["BatchLoader", "GraphBatch", "Share", "evaluation_batches"]
