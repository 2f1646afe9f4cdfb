"""fchains: plain functions become typed services, on this machine and in your own cloud account."""

from fchains.calls.bridge import asyncify as asyncify
from fchains.calls.bridge import run_sync as run_sync
from fchains.calls.call import Call as Call
from fchains.calls.chainlet import Chainlet as Chainlet
from fchains.calls.chainlet import StreamChainlet as StreamChainlet
from fchains.calls.context import current_call as current_call
from fchains.calls.context import deployment as deployment
from fchains.calls.context import secret as secret
from fchains.calls.decorator import chainlet as chainlet
from fchains.calls.gather import gather as gather
from fchains.calls.job import Job as Job
from fchains.calls.job import MapJob as MapJob
from fchains.calls.runner import Runner as Runner
from fchains.calls.stream import Stream as Stream
from fchains.calls.using import use_runner as use_runner
from fchains.definition.batched import batched as batched
from fchains.definition.cron import Cron as Cron
from fchains.definition.resource import Resource as Resource
from fchains.definition.resource import setup as setup
from fchains.definition.resource import use as use
from fchains.definition.retry import Retry as Retry
from fchains.errors import BuildError as BuildError
from fchains.errors import CallCancelled as CallCancelled
from fchains.errors import CallTimeout as CallTimeout
from fchains.errors import DefinitionError as DefinitionError
from fchains.errors import DeployError as DeployError
from fchains.errors import FchainsError as FchainsError
from fchains.errors import HTTPError as HTTPError
from fchains.errors import InvalidArguments as InvalidArguments
from fchains.errors import InvalidResult as InvalidResult
from fchains.errors import JobLost as JobLost
from fchains.errors import NotDeployed as NotDeployed
from fchains.errors import NotSupported as NotSupported
from fchains.errors import Overloaded as Overloaded
from fchains.errors import RemoteError as RemoteError
from fchains.errors import RunnerNotFound as RunnerNotFound
from fchains.errors import SerializationError as SerializationError
from fchains.errors import SetupError as SetupError
from fchains.errors import WorkerLost as WorkerLost
from fchains.packaging.image import Image as Image
from fchains.packaging.volume import Volume as Volume

__version__ = "0.1.0"

__all__ = [
    "BuildError",
    "Call",
    "CallCancelled",
    "CallTimeout",
    "Chainlet",
    "Cron",
    "DefinitionError",
    "DeployError",
    "FchainsError",
    "HTTPError",
    "Image",
    "InvalidArguments",
    "InvalidResult",
    "Job",
    "JobLost",
    "MapJob",
    "NotDeployed",
    "NotSupported",
    "Overloaded",
    "RemoteError",
    "Resource",
    "Retry",
    "Runner",
    "RunnerNotFound",
    "SerializationError",
    "SetupError",
    "Stream",
    "StreamChainlet",
    "Volume",
    "WorkerLost",
    "asyncify",
    "batched",
    "chainlet",
    "current_call",
    "deployment",
    "gather",
    "run_sync",
    "secret",
    "setup",
    "use",
    "use_runner",
]
