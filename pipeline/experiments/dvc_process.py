"""DVC as the leader of a process group that ends with the command that started it, also where that is killed.

python -P -m pipeline.experiments.dvc_process NUMBER_OF_THE_COMMANDS_PROCESS WORDS OF DVC
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
