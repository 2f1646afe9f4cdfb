"""The command line: `fchains check`, `graph`, `run`, `package`, `runners` and `doctor`."""

from fchains.cli.program import main as main
