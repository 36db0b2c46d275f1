"""A job reads the settings that its run was planned with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nmforge.cli.planned_config import VARIABLE, plan_settings, planned_settings, show_settings, write_settings
from nmforge.core.errors import NmforgeError

DOCUMENT: dict[str, Any] = {
    "model": {"name": "toy", "source": "toy"},
    "text": {"source": "wikipedia-wheel"},
    "designs": [{"id": "dense"}, {"id": "int4", "quantizer": "rtn", "bits": 4}],
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")


def test_a_job_keeps_its_settings_when_another_run_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    first = plan_settings(DOCUMENT, ["config.yaml"], [])
    write_settings(first)
    named = os.environ[VARIABLE]
    write_settings(plan_settings(DOCUMENT | {"evaluation": {"sequences": 7}}, ["config.yaml"], []))
    assert planned_settings().evaluation.sequences == 7
    monkeypatch.setenv(VARIABLE, named)
    assert planned_settings() == first


def test_settings_of_a_study_lie_in_its_own_folder() -> None:
    settings = plan_settings(DOCUMENT | {"study": "mine"}, ["config.yaml"], ["mine.yaml"])
    write_settings(settings)
    show_settings(settings)
    written = [path for path in Path().rglob("*.yaml") if path.is_file()]
    assert written and all(path.is_relative_to("results/studies/mine") for path in written)
    assert yaml.safe_load(Path("results/studies/mine/config.yaml").read_text())["study"] == "mine"


def test_a_file_laid_over_the_config_names_a_study() -> None:
    with pytest.raises(NmforgeError, match=r"mine\.yaml: study is missing; add a line `study: NAME`"):
        plan_settings(DOCUMENT, ["config.yaml", "mine.yaml"], ["mine.yaml"])
    assert not list(Path().iterdir())


def test_a_job_without_settings_says_how_jobs_start() -> None:
    with pytest.raises(NmforgeError, match="NMFORGE_CONFIG is missing in this job; start jobs by snakemake"):
        planned_settings()
