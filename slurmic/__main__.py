"""``python -m slurmic``."""

import sys

from slurmic.cli.main import main

sys.exit(main())
