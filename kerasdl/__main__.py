"""`python -m kerasdl` is the command `kerasdl`."""

from kerasdl.cli import main

main()
