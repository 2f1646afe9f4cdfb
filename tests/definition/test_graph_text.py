from __future__ import annotations

import json

from fchains import batched, chainlet, setup, use
from fchains.definition.graph import CallGraph
from fchains.definition.graph_text import as_json, dot, mermaid, tree
from fchains.definition.handle import AnyChainlet


def graph(*chainlets: AnyChainlet) -> CallGraph:
    return CallGraph.of([chainlet.definition for chainlet in chainlets])


@setup
def weights() -> bytes:
    return b""


@setup
def whisper(size: str, data: bytes = use(weights)) -> str:
    return size


@chainlet
def podcast(x: int) -> int:
    return transcribe.remote(x).result() + polish.remote(x).result()


@chainlet(gpu=["L4", "A10G:2"], replicas=(0, 8), memory="16GiB", group="asr", expose=True)
def transcribe(x: int, *, model: str = use(whisper.bind(size='sm"a\\l')), data: bytes = use(weights)) -> int:
    return polish.remote(x).result() + transcribe.remote(x).result()


@chainlet(cpu="500m", replicas=2)
@batched(max_size=8, max_wait=0.02)
def polish(x: list[int]) -> list[int]:
    return x


def test_the_tree_shows_needs_resources_and_callees() -> None:
    assert (
        tree(graph(podcast))
        == """\
podcast  entrypoint · 1 CPU · 2GiB
├── transcribe  L4 or A10G:2 · 1 CPU · 16GiB · 0 to 8 replicas · group asr
│   ├── ◇ whisper(size='sm"a\\\\l')
│   │   └── ◇ weights
│   ├── ◇ weights
│   ├── polish  0.5 CPU · 2GiB · 2 replicas · batches of 8
│   └── transcribe ↺
└── polish (again)"""
    )


def test_the_tree_can_be_drawn_in_ascii() -> None:
    text = tree(graph(podcast), ascii_only=True)

    assert text.isascii()
    assert text.splitlines()[1:4] == [
        "|-- transcribe  L4 or A10G:2, 1 CPU, 16GiB, 0 to 8 replicas, group asr",
        "|   |-- * whisper(size='sm\"a\\\\l')",
        "|   |   `-- * weights",
    ]
    assert "|   `-- transcribe (recursive)" in text


def test_chainlets_that_only_call_each_other_are_shown_too() -> None:
    @chainlet
    def ping(x: int) -> int:
        return pong.remote(x).result()

    @chainlet
    def pong(x: int) -> int:
        return ping.remote(x).result()

    assert tree(graph(ping, pong)) == "ping  1 CPU · 2GiB\n└── pong  1 CPU · 2GiB\n    └── ping ↺"


def test_several_tops_are_several_trees() -> None:
    @chainlet(replicas=1)
    def other(x: int) -> int:
        return polish.remote(x).result()

    assert tree(graph(other, podcast)).splitlines()[:3] == [
        "other  1 CPU · 2GiB · 1 replica",
        "└── polish  0.5 CPU · 2GiB · 2 replicas · batches of 8",
        "podcast  1 CPU · 2GiB",
    ]


def test_a_resource_that_two_others_use_is_opened_once() -> None:
    @setup
    def left(data: bytes = use(weights)) -> int:
        return 1

    @setup
    def both(left: int = use(left), again: int = use(left)) -> int:
        return 1

    @chainlet
    def caller(*, both: int = use(both)) -> int:
        return both

    assert tree(graph(caller), ascii_only=True).splitlines()[1:] == [
        "`-- * both",
        "    |-- * left",
        "    |   `-- * weights",
        "    `-- * left (again)",
    ]


def test_nothing_is_drawn_as_nothing() -> None:
    empty = CallGraph.of([])

    assert tree(empty) == ""
    assert mermaid(empty) == "flowchart TD"
    assert as_json(empty) == {"entrypoint": None, "nodes": [], "edges": [], "cycles": []}


def test_mermaid_has_a_node_for_each_chainlet_and_resource() -> None:
    assert (
        mermaid(graph(podcast))
        == """\
flowchart TD
    c0["podcast<br/>1 CPU, 2GiB"]
    c1["transcribe<br/>L4 or A10G:2, 1 CPU, 16GiB, 0 to 8 replicas, group asr"]
    c2["polish<br/>0.5 CPU, 2GiB, 2 replicas, batches of 8"]
    r3(["whisper(size='sm#34;a#92;#92;l')"])
    r4(["weights"])
    c0 --> c1
    c0 --> c2
    c1 --> c2
    c1 --> c1
    c1 -.- r3
    r3 -.- r4
    c1 -.- r4"""
    )


def test_dot_escapes_quotes_and_backslashes() -> None:
    assert (
        dot(graph(podcast))
        == r"""digraph chain {
    node [shape=box];
    c0 [label="podcast\n1 CPU, 2GiB"];
    c1 [label="transcribe\nL4 or A10G:2, 1 CPU, 16GiB, 0 to 8 replicas, group asr"];
    c2 [label="polish\n0.5 CPU, 2GiB, 2 replicas, batches of 8"];
    r3 [label="whisper(size='sm\"a\\\\l')", shape=ellipse];
    r4 [label="weights", shape=ellipse];
    c0 -> c1;
    c0 -> c2;
    c1 -> c2;
    c1 -> c1;
    c1 -> r3 [style=dashed, arrowhead=none];
    r3 -> r4 [style=dashed, arrowhead=none];
    c1 -> r4 [style=dashed, arrowhead=none];
}"""
    )


def test_json_tells_everything_about_a_chainlet() -> None:
    found = json.loads(json.dumps(as_json(graph(podcast))))

    assert found["entrypoint"] == "podcast"
    assert found["edges"] == [
        {"from": "podcast", "to": "transcribe"},
        {"from": "podcast", "to": "polish"},
        {"from": "transcribe", "to": "polish"},
        {"from": "transcribe", "to": "transcribe"},
    ]
    assert found["cycles"] == [["transcribe"]]
    assert [node["entrypoint"] for node in found["nodes"]] == [True, False, False]
    place = {"file": __file__, "line": weights.line}
    assert found["nodes"][1] == {
        "name": "transcribe",
        "module": __name__,
        "file": __file__,
        "line": transcribe.definition.line,
        "kind": "unary",
        "entrypoint": False,
        "exposed": True,
        "gpu": ["L4", "A10G:2"],
        "cpu": 1,
        "memory": 16 * 1024**3,
        "replicas": {"min": 0, "max": 8},
        "group": "asr",
        "batch": None,
        "resources": [
            {
                "name": "whisper(size='sm\"a\\\\l')",
                "file": __file__,
                "line": whisper.line,
                "resources": [{"name": "weights", **place, "resources": []}],
            },
            {"name": "weights", **place, "resources": []},
        ],
    }
    assert found["nodes"][2]["batch"] == {"max_size": 8, "max_wait": 0.02}
