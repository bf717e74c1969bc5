"""`python -m hydrasurr` is the command `hydrasurr`."""

from hydrasurr.cli import main

main()
