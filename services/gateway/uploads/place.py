"""The uploads of the place that files lie in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.gateway.uploads.receiver import Receiver
from services.gateway.uploads.store import Uploads
from shared.csvfile.folder import Root


def uploads_to(root: Root, quota: int) -> Receiver:
    if isinstance(root, Path):
        return Uploads(root, quota)
    # What it needs takes memory that a folder need not.
    from services.gateway.uploads.objects import BucketUploads

    bucket: Any = root
    return BucketUploads(bucket, quota)
