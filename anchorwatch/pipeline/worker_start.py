"""Starts a process that polls, by ``python -P`` and the path of this file: with the code of who starts it.

The working directory is on no path, so nothing that lies there is imported. Where the code is itself on no path (a
checkout from which ``python -m anchorwatch`` was run), its folder is put before what is installed, after the standard
library.
"""

import sys
from pathlib import Path


def main() -> None:
    """Put the code on the path if it is not there, and poll."""
    root = str(Path(__file__).parents[2])
    if root not in sys.path:
        installed = (number for number, one in enumerate(sys.path) if one.endswith("-packages"))
        sys.path.insert(next(installed, len(sys.path)), root)
    from anchorwatch.pipeline import worker

    worker.main()


if __name__ == "__main__":
    main()
