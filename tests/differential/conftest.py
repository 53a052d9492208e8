"""The modules of the differential test stand side by side, as its runner is a script too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
