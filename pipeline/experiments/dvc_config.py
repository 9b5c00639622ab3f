"""Settings of DVC in a temporary clone: its `.dvc/config.local`."""

from collections.abc import Mapping
from pathlib import Path

from configobj import ConfigObj

FILE = Path(".dvc/config.local")


def set_local(project: Path, sections: Mapping[str, Mapping[str, object]]) -> None:
    """Add settings to those that are there, in UTF-8: DVC reads that, and cannot write a path beyond ASCII itself.

    Args:
        project: the project's root in the clone.
        sections: values by section and name, as the file has them, such as `remote "storage"`.
    """
    file = project / FILE
    file.parent.mkdir(exist_ok=True)
    config = ConfigObj(str(file) if file.exists() else None, encoding="utf-8", interpolation=False)
    for name, values in sections.items():
        config.setdefault(name, {}).update(values)
    config.filename = str(file)
    config.write()
