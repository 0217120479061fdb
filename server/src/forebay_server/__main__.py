"""`python -m forebay_server`."""

import sys

from forebay_server.command import main

if __name__ == "__main__":
    sys.exit(main())
