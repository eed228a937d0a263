"""Launcher for a checkout: `python cli.py` is the command `kerasdl`."""

from kerasdl.cli.main import main

main()
