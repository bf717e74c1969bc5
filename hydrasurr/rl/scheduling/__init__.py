"""Who does what, when tasks take different times: schedulers, costs, leases, a simulation and real processes."""
