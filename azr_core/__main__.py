"""`python -m azr_core`: the command, for launchers that start a module in many processes."""

from azr_core.cli import main

main()
