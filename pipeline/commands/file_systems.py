"""File systems on which locks of other machines are not seen, or are seen late."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

# Beginnings of the names in /proc/mounts, and of those of macOS.
SHARED = (
    *(
        "nfs",
        "cifs",
        "smb",
        "afpfs",
        "webdav",
        "davfs",
        "9p",
        "virtiofs",
        "vboxsf",
        "fuse.vmhgfs",
        "prl_fs",
        "afs",
        "ncpfs",
    ),
    *(
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "fuse.ceph",
        "glusterfs",
        "fuse.glusterfs",
        "orangefs",
        "pvfs2",
        "panfs",
        "wekafs",
    ),
    *(
        "ocfs2",
        "gfs2",
        "fuse.grpcfuse",
        "fuse.sshfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.blobfuse",
        "fuse.juicefs",
        "juicefs",
    ),
)


class Place(NamedTuple):
    """A file or folder, and the file system that it is on."""

    path: Path
    kind: str
    mounted_on: str


def shared(*paths: Path) -> Iterator[Place]:
    """Find which of some places are on a shared file system."""
    mounts = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    for path in paths:
        resolved = Path(os.path.realpath(path))
        under = next((place for place in (resolved, *resolved.parents) if place in mounts), None)
        if under is not None and mounts[under].lower().startswith(SHARED):
            yield Place(path, mounts[under], str(under))


def advice(place: Place) -> str:
    """Return what a place on a shared file system asks for."""
    if place.path.name.endswith(".db"):
        return (
            f"{place.path} is on {place.kind} ({place.mounted_on}), where SQLite's locks may fail: set "
            "MLFLOW_TRACKING_URI to a server, or to sqlite:// and a place on a local disk"
        )
    return (
        f"{place.path} is on {place.kind} ({place.mounted_on}): run `dvc config core.hardlink_lock true`, and let one "
        "machine at a time work in this clone; others take a clone of their own"
    )
