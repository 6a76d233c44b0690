"""``python -m slurmic``."""

from slurmic.cli.main import program

program()
