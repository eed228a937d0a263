"""`python -m kerasdl` is the command `kerasdl`."""

from kerasdl.cli.main import main

main()
