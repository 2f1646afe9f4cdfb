"""Reserved for the local runner, which will run chains on worker processes of this machine.

There is no code here yet, and no runner of the name `local` is registered.
"""
