"""``python -m proofset``: the command line."""

from proofset.cli import main

if __name__ == "__main__":
    main()
