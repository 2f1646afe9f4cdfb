"""The local runner: chains on worker processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence

from fchains.calls.runner import Chain, Runner
from fchains_local.deployment import LocalDeployment, Settings
from fchains_local.overseer import Overseer


class LocalRunner(Runner):
    """Runs every replica of a chain in a process of its own.

    Args:
        gpus: ids of the GPUs that replicas may be given, as `CUDA_VISIBLE_DEVICES` takes them; by
            default all that this machine has, or that this variable leaves.
        require_gpu: refuse to start chainlets that want a GPU where there is none, instead of
            warning and running them without.
        health_interval: seconds between two looks at a replica whose chainlets have a health function.
    """

    name = "local"

    def __init__(
        self,
        *,
        gpus: Sequence[str] | None = None,
        require_gpu: bool = False,
        health_interval: float = 5.0,
    ) -> None:
        self._settings = Settings(None if gpus is None else tuple(gpus), require_gpu, health_interval)
        self._overseer = Overseer()

    async def start(self, chain: Chain) -> LocalDeployment:
        deployment = LocalDeployment(chain, self._settings, self._overseer)
        await deployment.start()
        return deployment

    async def aclose(self) -> None:
        await self._overseer.aclose()
