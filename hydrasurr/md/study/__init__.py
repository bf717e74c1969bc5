"""What studies share: stages that are kept, progress, measures of fidelity, figures."""
