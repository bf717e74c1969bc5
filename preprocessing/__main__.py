"""`python -m preprocessing` is the command `hydrasurr-preprocess`."""

from preprocessing.cli import main

if __name__ == "__main__":
    main()
