"""The workflow through a real Slurm, with the profile the project ships and the smallest config."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.one_node import completed_jobs, missing_reason, one_node_slurm, search_path
from factories.checkout import copy_checkout

pytestmark = pytest.mark.slow

WORKFLOW_SECONDS = 1800  # guards against a job that Slurm never starts; a slow machine may take ten minutes


@pytest.fixture(scope="module")
def slurm_log() -> Iterator[Path]:
    """A running one-node Slurm; the value is slurmctld's log."""
    reason = missing_reason()
    if reason:
        pytest.skip(reason)
    # pytest's own folders are closed to other users and deep: munge wants neither.
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, one_node_slurm(Path(name)) as log:
        yield log


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path / "project")


def run_workflow(tree: Path, *arguments: str) -> str:
    """Snakemake in `tree` with the Slurm profile; its output, which is also the message where it fails."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "workflow/profiles/slurm", *arguments]
    path = os.pathsep.join([str(Path(sys.executable).parent), search_path()])
    done = subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WORKFLOW_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def test_tiny_config_runs_as_slurm_jobs(slurm_log: Path, tree: Path) -> None:
    # Jobs of seconds: look at their state, and for jobs to start, sooner than the profile does.
    quick = ["--slurm-init-seconds-before-status-checks", "3", "--max-jobs-per-timespan", "1000/1s"]
    configs = ["--configfile", "tests/configs/tiny.yaml", "tests/cluster/few_designs.yaml"]
    output = run_workflow(tree, *quick, *configs)
    submitted = {int(job) for job in re.findall(r"submitted with SLURM jobid (\d+)", output)}
    assert submitted, output[-6000:]
    assert completed_jobs(slurm_log) == submitted
    assert (tree / "results/studies/cluster/tables/claims.csv").stat().st_size > 0
