"""What a graph is: the columnar table, the feature schema, and the ways in."""

from hydrasurr.graphs.schema import Feature, FeatureSchema, Target, molecule_schema
from hydrasurr.graphs.table import GraphTable, concatenate

__all__ = ["Feature", "FeatureSchema", "GraphTable", "Target", "concatenate", "molecule_schema"]
