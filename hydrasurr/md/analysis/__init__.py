"""What trajectories tell: structure (RDF), diffusion (MSD), means and drifts (Thermo).

Each class takes its parameters when made, `compute` takes the data, and results are properties afterwards.
"""

from hydrasurr.md.analysis.msd import MSD
from hydrasurr.md.analysis.rdf import RDF
from hydrasurr.md.analysis.thermo import Thermo, energy_drift

__all__ = ["MSD", "RDF", "Thermo", "energy_drift"]
