"""`python -m swarm.cli`: the command, if it is not on the path."""

import sys

from swarm.cli import main

if __name__ == "__main__":
    sys.exit(main())
