"""Every exception fchains raises.

    FchainsError
    ├── DefinitionError        a chainlet, resource or chain is declared wrongly
    ├── InvalidArguments       a value does not fit the parameter it was passed for
    ├── InvalidResult          a function returned what its annotation does not allow
    ├── SerializationError     a value cannot travel between processes
    ├── CallTimeout            a deadline passed              (also a TimeoutError)
    ├── CallCancelled          a call was cancelled
    ├── Overloaded             every replica's queue is full
    ├── WorkerLost             a replica died with the call in it
    ├── SetupError             a resource could not be made
    ├── RemoteError            user code raised a class unknown to the caller
    ├── NotDeployed            the callee is not part of the running chain
    ├── NotSupported           the runner, or the place of the call, cannot do this
    ├── BuildError             an image could not be built
    ├── DeployError            a chain could not be deployed
    ├── RunnerNotFound         no runner of that name is installed
    ├── JobLost                a durable job vanished
    └── HTTPError              raised by user code, reaches an HTTP client as its status

User code that fails raises its own exception at the caller. The classes above, `RemoteError`
and `HTTPError` apart, mean that the machinery or the definition failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fchains.definition.problems import Problem


class FchainsError(Exception):
    """Root of every exception that fchains raises itself."""


class DefinitionError(FchainsError):
    """Raised when chainlets, resources or a chain are declared wrongly.

    Args:
        message: the text; left empty, it is made from the problems.
        problems: each mistake with its place, what is wrong and what to write instead.
    """

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message or "\n".join(str(problem) for problem in problems))


class InvalidArguments(FchainsError):
    """Raised when an argument's value does not fit the annotation of its parameter.

    Args:
        message: the text.
        errors: pydantic's error dictionaries; `loc` starts with the parameter's name.
    """

    def __init__(self, message: str, errors: Sequence[dict[str, object]] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)


class InvalidResult(FchainsError):
    """Raised when a function returns, or yields, what its annotation does not allow."""


class SerializationError(FchainsError):
    """Raised when a value cannot travel; the message names the value's path and its class."""


class CallTimeout(FchainsError, TimeoutError):
    """Raised when a call passed its timeout, or its caller's deadline."""


class CallCancelled(FchainsError):
    """Raised when a call was cancelled: at its caller, and in the sync code that runs it."""


class Overloaded(FchainsError):
    """Raised when all replicas of a chainlet refuse a call because their queues are full.

    Args:
        message: the text.
        retry_after: seconds after which a retry has a chance.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WorkerLost(FchainsError):
    """Raised when the replica that ran a call died; the message names the signal or exit code."""


class SetupError(FchainsError):
    """Raised when a resource could not be made; `__cause__` is what its setup raised."""


class RemoteError(FchainsError):
    """Raised when user code failed with a class that its caller cannot look up.

    Args:
        message: the remote message.
        type_name: qualified name of the remote class, as `module:qualname`.
    """

    def __init__(self, message: str, type_name: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name


class NotDeployed(FchainsError):
    """Raised when a chainlet calls another that its running chain does not contain."""


class NotSupported(FchainsError):
    """Raised when a runner lacks a capability, or a call is made where it cannot work."""


class BuildError(FchainsError):
    """Raised when an image cannot be built."""


class DeployError(FchainsError):
    """Raised when a chain cannot be deployed."""


class RunnerNotFound(FchainsError):
    """Raised when no runner of the given name is installed; the message lists those that are."""


class JobLost(FchainsError):
    """Raised when a durable job vanished without an outcome."""


class HTTPError(FchainsError):
    """Raised by user code to answer an HTTP client with a status of its choice.

    Args:
        status: HTTP status, 400 to 599.
        detail: text for the client.
    """

    def __init__(self, status: int, detail: str = "") -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"HTTPError status must be 400 to 599, not {status!r}")
        super().__init__(f"{status}: {detail}" if detail else str(status))
        self.status = status
        self.detail = detail
