"""What distribution gains and what faults cost: measured on the processes at hand, simulated for more of them."""
