"""A design run: learners, actors and what goes on between them."""
