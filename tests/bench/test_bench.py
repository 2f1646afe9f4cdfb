import json
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.contenders import FLOOR, OWN
from tests.bench.rows import ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_every_row_measures_fchains_and_its_floor(row: Row) -> None:
    rounds = await row.measure("inline", share=0.001, rounds=1, peers=False)

    assert {name: len(times) for name, times in rounds.items()} == {OWN: 1, FLOOR: 1}


def test_the_program_prints_a_table_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    main(["--runner=inline", "--share=0.001", "--rounds=1", "--rows=array, argument", f"--json={file}"])
    (row,) = json.loads(file.read_text(encoding="utf-8"))["rows"]
    printed = capsys.readouterr().out

    assert "x floor" in printed
    assert row["row"] in printed
    assert f"{row['ratios'][FLOOR]:.2f}" in printed


def test_a_row_that_fails_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--runner=nowhere", "--share=0.001", "--rows=array, argument"])

    assert "RunnerNotFound" in capsys.readouterr().out
