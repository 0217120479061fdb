"""`python -m forebay_workers`."""

import sys

from forebay_workers.command import main

if __name__ == "__main__":
    sys.exit(main())
