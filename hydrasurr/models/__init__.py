"""Graph neural networks: from a GraphBatch to values of targets.

`config.ModelConfig` says which network, `network.GraphNetwork` is it, `ensemble.Ensemble` several of them,
`package` a trained one as a file. Message passing layers are named in `registry`.
"""
