"""A study of rock salt: a network for its short-range forces, and what one for its reciprocal space can do."""
