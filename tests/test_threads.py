"""The number of threads follows what the process may use, and what the user has set stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course.threads import WAITING, cpu_quotas, settle_threads, usable_cores


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "7:cpu,cpuacct:/docker/abc\n6:memory:/docker/abc\n"


@pytest.mark.parametrize(
    "files, quotas",
    [
        pytest.param({}, [], id="no control groups: a Mac, Windows"),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, [], id="no limit"),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, [1.5], id="v2"),
        pytest.param(
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            },
            [1.0],
            id="a limit on the group above",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/host/only\n", "sys/fs/cgroup/cpu.max": "200000 100000"},
            [2.0],
            id="the host's path",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            [0.5],
            id="v1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            [],
            id="v1, no limit",
        ),
        pytest.param(
            {"proc/self/cgroup": "nonsense\n0::/\n", "sys/fs/cgroup/cpu.max": "x 0\n"}, [], id="what cannot be read"
        ),
    ],
)
def test_quotas_are_found(tmp_path: Path, files: dict[str, str], quotas: list[float]) -> None:
    assert cpu_quotas(machine(tmp_path, files)) == quotas


def test_the_cores_are_those_of_the_smallest_limit(tmp_path: Path) -> None:
    seen = usable_cores(tmp_path)
    assert 1 <= seen <= (os.cpu_count() or 1)
    little = machine(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 100000\n"})
    assert usable_cores(little) == 1, "a fifth of a core is still one thread"
    (little / "sys/fs/cgroup/cpu.max").write_text("99900000 100000\n")
    assert usable_cores(little) == seen, "a generous quota adds no cores"


def test_what_the_user_set_stays() -> None:
    chosen = {"OMP_NUM_THREADS": "7", "OMP_WAIT_POLICY": "ACTIVE"}
    settle_threads(chosen)
    assert chosen == {"OMP_NUM_THREADS": "7", "OMP_WAIT_POLICY": "ACTIVE"}
    settle_threads(untouched := {})
    assert untouched.items() >= WAITING.items() and int(untouched["OMP_NUM_THREADS"]) == usable_cores()


@pytest.mark.parametrize("order", ["import course, torch", "import torch, course"])
def test_torch_takes_the_threads_that_it_may_use(order: str) -> None:
    program = f"{order}; from course.threads import usable_cores; print(torch.get_num_threads() <= usable_cores())"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
