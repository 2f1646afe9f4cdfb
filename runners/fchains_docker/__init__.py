"""Reserved for the Docker runner, which will run each chainlet in containers of its own image.

There is no code here yet, and no runner of the name `docker` is registered.
"""
