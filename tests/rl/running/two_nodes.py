"""The command on ranks that take themselves for two machines: those from NODE_FROM on for the other one."""

from __future__ import annotations

if __name__ == "__main__":  # not in the processes that ranks start
    import os

    from mpi4py import MPI

    from hydrasurr.cli import main
    from hydrasurr.rl.running import rewards

    node = "far" if MPI.COMM_WORLD.rank >= int(os.environ["NODE_FROM"]) else "near"
    rewards.node_name = lambda: node
    main()
