"""What molecules are worth: properties, goals for them, and the service that answers for many agents."""
