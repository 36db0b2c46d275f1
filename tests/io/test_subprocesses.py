"""Programs of other people: what they print, and one sentence where they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.io.subprocesses import first_errors, last_line, run_program


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_folder_and_environment(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd(), os.environ['ADDED'], 'PATH' in os.environ)"
    printed = run_program(python(code), "Python", "mend it", cwd=tmp_path, environment={"ADDED": "yes"})
    assert printed == f"{tmp_path} yes True\n"


def test_a_failure_is_told_by_its_last_line() -> None:
    code = "import sys; print('out'); print('first', file=sys.stderr); sys.exit('the cause')"
    with pytest.raises(NmforgeError, match=r"^Tool on x failed \(exit status 1\): the cause; mend it$"):
        run_program(python(code), "Tool on x", "mend it")
    with pytest.raises(NmforgeError, match=r"^Tool failed \(exit status 3\): no message; mend it$"):
        run_program(python("raise SystemExit(3)"), "Tool", "mend it")


def test_a_failure_is_told_by_its_first_errors() -> None:
    code = "print('Error: a\\nnote\\n  Error: b\\nERROR: c\\nError: d\\ndone'); raise SystemExit(2)"
    with pytest.raises(NmforgeError, match=r"^g\+\+ failed \(exit status 2\): Error: a \| Error: b \| ERROR: c; mend$"):
        run_program(python(code), "g++", "mend", reason=first_errors)
    assert first_errors("nothing known\n") == last_line("nothing known\n") == "nothing known"


def test_killed_late_and_missing(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"^Tool was killed by signal 9; run it again with more memory free$"):
        run_program(python("import os; os.kill(os.getpid(), 9)"), "Tool", "mend it")
    with pytest.raises(NmforgeError, match=r"^Tool took more than 0\.2 s; choose a smaller one$"):
        run_program(python("import time; time.sleep(5)"), "Tool", "choose a smaller one", limit_s=0.2)
    with pytest.raises(NmforgeError, match=r"^Tool cannot start \(.*nowhere.*\); install it$"):
        run_program([tmp_path / "nowhere"], "Tool", "install it")
