"""The settings of a run of the workflow, fixed when it is planned.

The merged config is written under the hash of its content, and every job reads that file, named by an environment
variable. So a job that starts late, after the config was edited or another study was started, has the settings that it
was planned with.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nmforge.config import Config, load_config, parse_config
from nmforge.core.errors import NmforgeError
from nmforge.io.files import write_atomically
from nmforge.io.folders import DEFAULT_STUDY, Folders, study_folders
from nmforge.io.hashing import hash_json

VARIABLE = "NMFORGE_CONFIG"


def plan_settings(document: Any, names: Sequence[str], overlays: Sequence[str]) -> Config:
    """The settings of a run that is planned now; sets VARIABLE to the file that `write_settings` will write.

    document: the merged config. names: its files, for errors. overlays: those of them that were given for this run.
    Raises NmforgeError where overlays name no study: they would overwrite the results of config.yaml.
    """
    config = parse_config(document, ", ".join(names))
    if overlays and config.study == DEFAULT_STUDY:
        raise NmforgeError(
            f"{', '.join(overlays)}: study is missing; add a line `study: NAME`, so that its results do not overwrite "
            "those of config.yaml"
        )
    os.environ[VARIABLE] = str(_settings_file(config))
    return config


def planned_settings() -> Config:
    """The settings of the run that this job belongs to; raises NmforgeError where the job was not told them."""
    if not os.environ.get(VARIABLE):
        raise NmforgeError(f"the environment variable {VARIABLE} is missing in this job; start jobs by snakemake")
    return load_config(Path(os.environ[VARIABLE]))


def write_settings(config: Config) -> None:
    """Write the file that jobs read; nothing where an earlier run with the same settings did."""
    _write(_settings_file(config), _text(config))


def show_settings(config: Config) -> None:
    """Write the same as `config.yaml` of the study's results, for readers and for verbs run by hand."""
    _write(folders_of(config).results / "config.yaml", _text(config))


def folders_of(config: Config) -> Folders:
    """The folders of the study of a config."""
    return study_folders(config.study)


def _settings_file(config: Config) -> Path:
    digest = hash_json(config.model_dump(mode="json"))[:16]
    return folders_of(config).results / ".configs" / f"{digest}.yaml"


def _text(config: Config) -> str:
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        write_atomically(path, lambda temporary: temporary.write_text(text))
