"""`python -m fchains.cli`."""

from fchains.cli.program import main

main()
