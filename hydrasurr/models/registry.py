"""The message passing layers a configuration can name. A new one is a file like `gin.py` and a line here."""

from __future__ import annotations

from hydrasurr.models.cgcnn import CGCNNConfig
from hydrasurr.models.gatv2 import GATv2Config
from hydrasurr.models.gin import GINConfig
from hydrasurr.models.mfc import MFCConfig
from hydrasurr.models.pna import PNAConfig
from hydrasurr.models.sage import GraphSAGEConfig

LAYERS = (
    PNAConfig,
    GINConfig,
    GraphSAGEConfig,
    GATv2Config,
    CGCNNConfig,
    MFCConfig,
)


def layer_names() -> list[str]:
    """The values of the key `type` of a `conv` section."""
    return [layer.model_fields["type"].annotation.__args__[0] for layer in LAYERS]
