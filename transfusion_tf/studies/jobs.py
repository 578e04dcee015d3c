"""What Slurm knows of the jobs of a study."""

import subprocess
from collections.abc import Collection

# As squeue and sacct call a job that has yet to end.
_ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED")
_SECONDS_TO_ANSWER = 60


def live_jobs() -> dict[str, str]:
    """Returns the state of every job that is queued or running.

    It is the queue that is asked: accounting learns of a job later, forgets it,
    or is not kept.

    Returns:
        `{"77_1": "PENDING", ...}`.

    Raises:
        RuntimeError: If Slurm does not answer, or is not here.
    """
    answer = _ask("squeue", "--noheader", "--array", "--format=%i %T")
    return dict(line.split(maxsplit=1) for line in answer.splitlines() if line)


def ended_jobs(job_ids: Collection[str]) -> dict[str, str]:
    """Returns how jobs ended, of those that accounting knows.

    Args:
        job_ids: Any number.

    Returns:
        `{"77_1": "OUT_OF_MEMORY", ...}`; empty where no accounting is kept.
    """
    if not job_ids:
        return {}
    try:
        answer = _ask(
            "sacct",
            "--noheader",
            "--allocations",
            "--parsable2",
            "--format=JobID,State",
            f"--jobs={','.join(job_ids)}",
        )
    except RuntimeError:
        return {}
    states = dict(line.split("|")[:2] for line in answer.splitlines() if line)
    return {
        job: state
        for job, state in states.items()
        if state and state.split()[0] not in _ALIVE
    }


def _ask(*command: str) -> str:
    """Returns what a program of Slurm prints."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS_TO_ANSWER,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise RuntimeError(
            f"Slurm does not answer. Received: {said}. Repeat the command on "
            "a machine of the cluster when it does."
        ) from error
