"""Labels of molecules by a quantum-chemical calculation: the truth that a surrogate is held against."""
