from __future__ import annotations

from pathlib import Path

import pytest

from fchains import chainlet
from fchains.definition.gpus import Gpu, parse_gpus
from fchains.errors import DeployError
from fchains_local.gpus import (
    Assignments,
    Devices,
    Share,
    detect,
    environment_of,
    indices,
    most_replicas,
    share,
    visible,
)

# As nvidia-smi prints them.
TWO = """\
0, NVIDIA L4, GPU-8932f937-d72c-4106-c12f-20bd9faed9f6
1, NVIDIA A100-SXM4-80GB, GPU-1ba6a6a3-6c8d-41cd-8a1c-37dd1ef0a1cd
"""
NO_DRIVER = """\
NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest \
NVIDIA driver is installed, and running.
"""


def program(folder: Path, script: str) -> dict[str, str]:
    """An environment in which `nvidia-smi` is a script."""
    path = folder / "bin" / "nvidia-smi"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{path.parent}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("", ()),
        (" ", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("0", ("0",)),
        ("2, 1", ("2", "1")),
        ("0,2,-1,1", ("0", "2")),
        ("0,,1", ("0",)),
        ("1,1", ("1",)),
        ("GPU-8932f937,MIG-GPU-8932f937/1/2", ("GPU-8932f937", "MIG-GPU-8932f937/1/2")),
    ],
)
def test_the_variable_of_cuda_says_which_gpus_there_are(value: str, ids: tuple[str, ...]) -> None:
    assert visible(value) == ids
    assert detect({"CUDA_VISIBLE_DEVICES": value, "PATH": ""}) == ids


@pytest.mark.parametrize(
    ("listed", "ids"), [(TWO, ("0", "1")), ("No devices were found\n", ()), (NO_DRIVER, ()), ("", ())]
)
def test_lines_of_nvidia_smi_are_read(listed: str, ids: tuple[str, ...]) -> None:
    assert indices(listed) == ids


def test_nvidia_smi_is_asked(tmp_path: Path) -> None:
    environ = program(tmp_path, f'test "$2" = "--format=csv,noheader" && cat <<END\n{TWO}END')

    assert detect(environ) == ("0", "1")


def test_a_driver_that_does_not_work_gives_no_gpus(tmp_path: Path) -> None:
    (tmp_path / "gpus" / "0000:00:1e.0").mkdir(parents=True)
    environ = program(tmp_path, "echo '0, NVIDIA L4, GPU-1'; exit 9")

    assert detect(environ, tmp_path / "gpus") == ()


def test_the_driver_is_looked_at_where_nvidia_smi_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "gpus"
    (driver / "0000:00:1e.0").mkdir(parents=True)
    (driver / "0000:00:1f.0").mkdir()
    monkeypatch.setattr("fchains_local.gpus._PATIENCE", 0.05)

    assert detect({"PATH": str(tmp_path)}, driver) == ("0", "1")
    assert detect(program(tmp_path, "exec sleep 60"), driver) == ("0", "1")
    (tmp_path / "bin" / "nvidia-smi").write_text("no program")
    assert detect({"PATH": str(tmp_path / "bin")}, driver) == ("0", "1")


def test_a_machine_without_any_of_that_has_no_gpu(tmp_path: Path) -> None:
    assert detect({"PATH": str(tmp_path)}, tmp_path / "nothing") == ()


@pytest.mark.parametrize(
    ("gpu", "available", "each"),
    [
        (None, 0, 0),
        (None, 4, 0),
        ("L4", 1, 1),
        ("A100-80GB:2", 4, 2),
        (["A100-80GB:2", "H100"], 1, 1),
        (["H100", "A100-80GB:2"], 4, 1),
    ],
)
def test_a_replica_gets_the_gpus_it_wants(gpu: object, available: int, each: int) -> None:
    assert share("transcribe", parse_gpus(gpu), available, require_gpu=True) == Share(each)


@pytest.mark.parametrize(
    ("gpu", "available", "each", "text"),
    [
        ("L4", 0, 0, "transcribe wants 1 L4, this machine has no GPU: it runs without one; "),
        ("any", 0, 0, "transcribe wants 1 GPU, this machine has no GPU: it runs without one; "),
        (["H100:2", "L4:4"], 1, 1, "transcribe wants 2 H100 or 4 L4, this machine has 1 GPU: it runs with "),
        ("H100:4", 3, 3, "transcribe wants 4 H100, this machine has 3 GPUs: it runs with fewer; "),
    ],
)
def test_too_few_gpus_are_a_warning_and_an_error_where_they_are_required(
    gpu: object, available: int, each: int, text: str
) -> None:
    given = share("transcribe", parse_gpus(gpu), available)

    assert given.each == each
    assert given.warning is not None
    assert given.warning.startswith(text)
    assert given.warning.endswith("`require_gpu=True` makes this an error")
    with pytest.raises(DeployError) as raised:
        share("transcribe", parse_gpus(gpu), available, require_gpu=True)
    assert str(raised.value).startswith(text.partition(":")[0])


def test_the_share_counts_what_the_first_fitting_alternative_wants() -> None:
    wanted = (Gpu("H100", 8), Gpu("A100-80GB", 4), Gpu("L4", 1))

    assert share("f", wanted, 5).each == 4


@pytest.mark.parametrize(
    ("wanted_max", "each", "available", "most"),
    [(8, 0, 0, 8), (8, 0, 4, 8), (8, 1, 4, 4), (2, 1, 4, 2), (8, 2, 5, 2), (8, 4, 2, 1)],
)
def test_there_are_as_many_replicas_as_gpus_allow(
    wanted_max: int, each: int, available: int, most: int
) -> None:
    assert most_replicas(wanted_max, each, available) == most


def test_a_replica_sees_its_gpus_alone() -> None:
    assert environment_of(("0", "1"), wanted=2) == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert environment_of((), wanted=1) == {"CUDA_VISIBLE_DEVICES": ""}
    assert environment_of((), wanted=0) == {}


@chainlet(gpu="L4", name="transcribe")
def wants_one() -> None: ...


@chainlet(gpu=["H100:4", "A100-80GB:2"])
def wants_several() -> None: ...


@chainlet
def wants_none() -> None: ...


def test_a_chain_gets_the_gpus_that_were_given_or_are_there() -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "2,3"}
    definitions = [wants_none.definition, wants_one.definition]

    assert Devices.find(None, environ, definitions).ids == ("2", "3")
    assert Devices.find(["0", "1", "0"], environ, definitions).ids == ("0", "1")
    assert Devices.find([], environ, definitions).ids == ()


def test_nobody_looks_for_gpus_where_no_chainlet_wants_one(tmp_path: Path) -> None:
    environ = program(tmp_path, f"touch {tmp_path}/asked")

    assert Devices.find(None, environ, [wants_none.definition]).ids == ()
    assert not (tmp_path / "asked").exists()


def test_a_chain_that_wants_too_many_is_warned_of_or_refused(caplog: pytest.LogCaptureFixture) -> None:
    definitions = [wants_none.definition, wants_one.definition, wants_several.definition]

    Devices(("0", "1")).check(definitions, require=True)
    assert caplog.messages == []
    Devices(()).check(definitions, require=False)
    assert [text.partition(":")[0] for text in caplog.messages] == [
        "transcribe wants 1 L4, this machine has no GPU",
        "wants_several wants 4 H100 or 2 A100-80GB, this machine has no GPU",
    ]
    with pytest.raises(
        DeployError, match="wants_several wants 4 H100 or 2 A100-80GB, this machine has 1 GPU:"
    ):
        Devices(("0",)).check(definitions, require=True)


def test_a_chain_has_as_many_replicas_as_gpus_allow() -> None:
    devices = Devices(("0", "1", "2", "3", "4"))

    assert (devices.each(wants_one.definition), devices.most_replicas(wants_one.definition)) == (1, 5)
    assert (devices.each(wants_several.definition), devices.most_replicas(wants_several.definition)) == (4, 1)
    assert devices.each(wants_none.definition) == 0
    assert devices.most_replicas(wants_none.definition) > 1000
    assert Devices(()).most_replicas(wants_one.definition) > 1000


def test_a_gpu_is_given_to_one_replica_only() -> None:
    gpus = Assignments(("0", "1", "2"))

    first, second = gpus.take(2), gpus.take(1)
    assert (first, second) == (("0", "1"), ("2",))
    assert gpus.free == 0
    assert gpus.take(1) is None
    assert gpus.take(0) == ()

    gpus.give_back(first or ())
    assert gpus.take(3) is None
    assert gpus.take(1) == ("0",)


def test_the_gpu_used_least_is_given_first() -> None:
    gpus = Assignments(("0", "1", "2"))
    for expected in ("0", "1", "2", "0"):
        taken = gpus.take(1)
        assert taken == (expected,)
        gpus.give_back((expected,))


def test_replicas_may_share_where_there_are_too_few() -> None:
    gpus = Assignments(("0", "1"))
    assert gpus.take(1) == ("0",)

    assert gpus.take(1, shared=True) == ("1",)
    assert gpus.take(1, shared=True) == ("0",)
    assert gpus.take(1, shared=True) == ("1",)
    assert gpus.take(3, shared=True) is None
    gpus.give_back(("0",))
    assert gpus.take(1) is None
    gpus.give_back(("0",))
    assert gpus.take(1) == ("0",)


def test_what_nobody_has_cannot_be_given_back() -> None:
    gpus = Assignments(("0", "1"))
    gpus.take(1)

    for ids in (("1",), ("0", "1"), ("7",)):
        with pytest.raises(ValueError, match="nobody has GPU"):
            gpus.give_back(ids)
    assert gpus.free == 1
