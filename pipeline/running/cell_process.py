"""A study's cell: DVC as the leader of a process group that ends with the study, also where that is killed.

python -m pipeline.running.cell_process NUMBER_OF_THE_STUDYS_PROCESS WORDS OF DVC
"""

import sys

from pipeline.core.following import end_group_with_parent


def main(parent: str, words: list[str]) -> int:
    """Run DVC in this process; return its exit status."""
    end_group_with_parent(int(parent))
    from dvc.cli import main as dvc

    status: int = dvc(words)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
