"""`python -m pfgm_science` is the command `pfgm`."""

import sys

from pfgm_science.cli import main

if __name__ == "__main__":
    sys.exit(main())
