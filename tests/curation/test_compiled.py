"""Processes that are the first to use librosa in a new installation, all at once."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import numpy as np
from curation import music_features
samples = np.random.default_rng(0).normal(0, 0.1, (22_050 * 3, 1)).astype(np.float32)
print(music_features.describe(samples, 22_050))
"""


def test_processes_that_begin_at_once_leave_what_all_others_can_use(tmp_path: Path) -> None:
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", CODE]
    first = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0] for process in first]
    said.append(subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout)
    assert said[0].startswith("(")
    assert said == said[:1] * 4
    assert any(tmp_path.rglob("*.nbi"))


def test_linear_algebra_has_one_thread_in_each_process_that_measures() -> None:
    code = (
        "from threadpoolctl import threadpool_info; from curation import compiled; compiled.ready(); "
        "print({pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'})"
    )
    env = os.environ | {"OPENBLAS_NUM_THREADS": "4"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "{1}\n"
