"""The catalogue of boards: its figures, what a wrong file is told, and a board of one's own by one new file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories.board_engines import FPGA, LLAMA, ideal, only

from nmforge.core.errors import NmforgeError
from nmforge.core.registry import registry
from nmforge.fpga.boards.boards import Board, read_board
from nmforge.fpga.boards.registry import BoardRegistry
from nmforge.fpga.boards.table import board_table
from nmforge.fpga.model.memory import MemoryChannel

CATALOGUE = Path(sys.modules[Board.__module__].__file__ or "").parent / "catalogue"
BOARDS = ["U280", "VCK190", "KV260", "ButterStick"]


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CATALOGUE / f"{name}.yaml").read_text())
    return found


def test_the_boards_in_the_order_of_the_table() -> None:
    assert registry("board").names() == BOARDS
    assert [board.name for board in registry("board")] == BOARDS
    assert all(board.summary for board in registry("board"))


def test_derived_figures_of_the_catalogue() -> None:
    boards = {board.name: board for board in registry("board")}
    assert boards["U280"].ram_bits.value == 2016 * 36 * 1024 + 960 * 288 * 1024
    assert boards["VCK190"].ram_bits.value == 967 * 36 * 1024 + 463 * 288 * 1024
    assert boards["KV260"].ram_bits.value == 144 * 36 * 1024 + 64 * 288 * 1024
    assert boards["ButterStick"].ram_bits.value == 208 * 18 * 1024
    assert boards["U280"].bandwidth.value == 32 * 14.375e9
    assert boards["VCK190"].bandwidth.value == 64 / 8 * 3.2e9
    assert boards["KV260"].bandwidth.value == 64 / 8 * 2.4e9
    assert boards["ButterStick"].bandwidth.value == 16 / 8 * 0.8e9


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("lut",), 1, "unknown key lut; remove it or correct its spelling"),
        (("luts", "value"), -1, "luts.value: Input should be greater than 0; correct this value"),
        (("efficiency", "value"), 1.2, "efficiency.value: Input should be less than or equal to 1"),
        (("dsps", "source"), "", "dsps.source: String should have at least 1 character"),
        (("target",), "xc7", "target: fpga family 'xc7' is unknown; use one of ecp5, xcup"),
        (("published", 0, "tokens_per_s", "value"), 0, "published.0.tokens_per_s.value: Input should be greater"),
        (("name",), "a b", "name: String should match pattern"),
    ],
)
def test_every_mistake_is_one_sentence(path: tuple[Any, ...], value: object, sentence: str, tmp_path: Path) -> None:
    changed = document("U280")
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(NmforgeError) as error:
        read_board(tmp_path / "mine.yaml")
    assert str(error.value).startswith(f"mine.yaml: {sentence}")


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"board .*none\.yaml is missing; name a file"):
        read_board(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("name: [")
    with pytest.raises(NmforgeError, match=r"board .*broken\.yaml is not valid YAML"):
        read_board(tmp_path / "broken.yaml")


def test_a_channel_of_a_board_in_cycles_of_an_engine() -> None:
    (board,) = only("U280", bandwidth=400e9, channels=32, latency_ns=120, refresh_interval_ns=3900, refresh_ns=260)
    assert board.channel(250) == MemoryChannel(50, 30, 975, 65, "U280")
    assert board.channel(250).sustained == 50 * (1 - 65 / 975)


def test_every_board_has_a_memory_channel() -> None:
    for board in registry("board"):
        memory = board.channel(160)
        assert memory.bytes_per_cycle > 1 and 0 < memory.latency < memory.refresh_interval
        assert 0.9 < memory.sustained / memory.bytes_per_cycle < 1
    assert registry("board").get("KV260").channel() == registry("board").get("KV260").channel(225)
    with pytest.raises(NmforgeError, match="board 'U250' is unknown; use one of U280, VCK190, KV260, ButterStick"):
        registry("board").get("U250")
    with pytest.raises(NmforgeError, match="ButterStick has no clock of its own; name that of the engine with --clock"):
        registry("board").get("ButterStick").channel()


def new_board(folder: Path) -> None:
    """A board of one's own, below a folder that joins the package nmforge.fpga.boards."""
    own = document("KV260") | {
        "name": "Mine",
        "summary": "a board of a test",
        "bandwidth": {"value": 1e9, "source": "t"},
    }
    del own["order"], own["published"]
    (folder / "catalogue").mkdir()
    (folder / "catalogue/mine.yaml").write_text(yaml.safe_dump(own))


USE_BY_NAME = """
import json, sys
import nmforge.fpga.boards as home
home.__path__.append(sys.argv[1])
from nmforge.core.registry import registry
from nmforge.config import FpgaConfig
FpgaConfig(random_layers=[{"boards": ["Mine"]}])
names = registry("board").names()
slow = [name for name in ("torch", "pandas", "matplotlib") if name in sys.modules]
print(json.dumps([names, slow]))
"""


def test_one_new_file_is_a_board_that_a_config_can_name(tmp_path: Path) -> None:
    new_board(tmp_path)
    done = subprocess.run([sys.executable, "-c", USE_BY_NAME, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[*BOARDS, "Mine"], []]


def test_one_new_file_is_a_row_of_the_table_and_a_name_of_the_command_line(
    tmp_path: Path, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nmforge.fpga.boards as home
    from nmforge.cli import main

    new_board(tmp_path)
    monkeypatch.setattr(home, "__path__", [*home.__path__, str(tmp_path)])
    monkeypatch.setattr("nmforge.fpga.boards.registry.REGISTRY", BoardRegistry())
    table = board_table(FPGA, ideal, registry("board"), LLAMA)
    assert list(dict.fromkeys(table["board"])) == [*BOARDS, "Mine"]
    sizes = ["--m", "1", "--n", "2", "--k", "64", "--rows", "2", "--cols", "1", "--group", "32", "--engine", "gemv"]
    command = ["fpga", "random", *sizes, "--board", "Mine", "--build", str(builds), "--out", str(tmp_path / "r.json")]
    assert main(command) == 0
    free, limited = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert (free["board"], limited["board"]) == (None, "Mine")
    assert limited["memory_rate"] == 1e9 / 225e6
    (tmp_path / "catalogue/again.yaml").write_text((tmp_path / "catalogue/mine.yaml").read_text())
    with pytest.raises(NmforgeError, match="two entries are called board 'Mine'; rename one of them"):
        BoardRegistry().names()
