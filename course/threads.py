"""How many cores torch takes, and what its threads do while they wait. Serves every lesson; `import course` applies it.

Left alone, torch takes one thread for each core that it sees, and they spin while they wait for one another. That is
fastest for a program that has the machine to itself. Two such programs on the same cores spin against each other and
take up to ten times as long; in a container with a share of two cores, torch sees all cores of its host. So the number
of threads follows what this process may really use, and threads that wait sleep. They spin a little first, which costs
a neighbour little and saves most of what sleeping at once would cost; `make bench` measures it.
"""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "0"}
"""Read by GNU's OpenMP (torch's on Linux) and by LLVM's and Intel's (on a Mac, on Windows) when torch is imported."""


def usable_cores(root: Path = Path("/")) -> int:
    """How many cores this process may use: the fewest of its affinity and the CPU quotas of its control groups.

    A quota of one and a half cores counts as two. `root` is where /proc and /sys are found.
    """
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([seen, *(int(quota + 0.5) for quota in cpu_quotas(root))]))


def cpu_quotas(root: Path = Path("/")) -> list[float]:
    """The CPU quotas, in cores, of the control groups that this process is in, version 1 or 2; none without a limit.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, "cpu.max", and scheduler/sched-bwc.html for version 1.
    """
    found = []
    for folder in control_groups("cpu", root):
        limit, _, period = read_text(folder / "cpu.max").partition(" ")
        if not limit:
            limit, period = read_text(folder / "cpu.cfs_quota_us"), read_text(folder / "cpu.cfs_period_us")
        if limit.strip().isdigit() and period.strip().isdigit() and int(period):
            found.append(int(limit) / int(period))
    return found


def control_groups(controller: str, root: Path = Path("/")) -> set[Path]:
    """The folders of the control groups that limit this process in what a controller counts, "cpu" or "memory".

    A limit may be set on any group above the process's own. In a container the path may be the host's: then the mount
    is the process's group.
    """
    found: set[Path] = set()
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "none", "/")
        if not controllers:  # version 2
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / name for name in (controllers, controller)]
        else:
            continue
        group = Path(path.lstrip("/"))
        found |= {mount / above for mount in mounts for above in (group, *group.parents)}
    return found


def read_text(path: Path) -> str:
    """What a file of the system says; nothing if it cannot be read."""
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def settle_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Tell torch how many threads to take and how they wait; what is already set in the environment stays.

    The variables are read when torch is imported. Where torch came first, only the number can still be changed.
    """
    if not WAITING.keys() & environment.keys():  # somebody who has set one of them has chosen
        environment.update(WAITING)
    if "OMP_NUM_THREADS" in environment:
        return
    environment["OMP_NUM_THREADS"] = str(usable_cores())
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
