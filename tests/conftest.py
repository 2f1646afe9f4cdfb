import pytest
from hypothesis import settings

# Machines that run several tests at once are slow now and then: no test fails for that.
settings.register_profile("fchains", deadline=None)
settings.load_profile("fchains")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
