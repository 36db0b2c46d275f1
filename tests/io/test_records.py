"""Points and tables: rows come back with their provenance, and what JSON cannot hold is empty."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.io.hashing import hash_json, sha256_bytes, sha256_file
from nmforge.io.records import read_points, read_table, write_point, write_table


def test_rows_of_points_become_a_table(tmp_path: Path) -> None:
    write_point(tmp_path / "a.json", "t", [{"x": 1, "ppl": math.inf}, {"x": 2, "ppl": 3.5}])
    write_point(tmp_path / "b.json", "t", [{"x": 3}])
    assert json.loads((tmp_path / "a.json").read_text())["rows"][0] == {"x": 1, "ppl": None}
    write_table(read_points([tmp_path / "a.json", tmp_path / "b.json"]), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table["x"].tolist() == [1, 2, 3]
    assert table["ppl"].isna().tolist() == [True, False, True]
    assert list(table)[:2] == ["x", "ppl"] and {"commit", "host", "versions", "date"} <= set(list(table)[2:])
    assert (tmp_path / "t.csv").read_text().splitlines()[0].startswith("x,ppl,commit,")


def test_error_messages_of_points_and_tables(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"rows": [')
    with pytest.raises(NmforgeError, match=r"half\.json is not a readable point file .*; delete it and run again"):
        read_points([tmp_path / "half.json"])
    with pytest.raises(NmforgeError, match=r"table .*none\.parquet is missing; run snakemake --cores all, or name"):
        read_table(tmp_path / "none.parquet")


def test_digests_are_sha256(tmp_path: Path) -> None:
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == abc
    assert hash_json({"b": 1, "a": [2]}) == hash_json({"a": [2], "b": 1}) == sha256_bytes(b'{"a":[2],"b":1}')
