"""The local runner: every replica of a chain in a process of its own, on this machine.

`fchains_local.runner.LocalRunner` is the runner. Nothing is imported here: the processes that it
starts import parts of this package, and come up the sooner the fewer.
"""
