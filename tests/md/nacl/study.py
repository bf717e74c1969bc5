"""A study of rock salt so small that it tells nothing but that all of it works."""

from __future__ import annotations

TINY = (
    "cells=3",
    'formats=["fp64","int4"]',
    "reference.equilibration_ps=0.2",
    "reference.frames=4",
    "reference.interval_ps=0.05",
    "fit.steps=20",
    "fit.particles=32",
    "dynamics.equilibration_ps=0.02",
    "dynamics.length_ps=0.2",
    "dynamics.interval_ps=0.02",
    "dynamics.nve_ps=0.1",
    "dynamics.r_max=6",
    'learned={"far-8.5":{"hot":true,"fit":{"steps":20,"particles":32,"switch":1.0}}}',
    "dsf_cutoffs=[8.5]",
    "graph.steps=2",
    "graph.width=8",
    "limits.frames=2",
    "limits.equilibration_ps=0.05",
    "limits.interval_ps=0.05",
    "scaling.edges=[3,4]",
    "scaling.seconds=1e-9",  # the fewest steps: after this little training, ions fall into each other soon
    "scaling.repeats=1",
)
"""Overrides of the quick study."""
