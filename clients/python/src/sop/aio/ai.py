"""The predecessor's names for databases with vector and model stores, which come later."""

from __future__ import annotations

from sop.ai import Item, Model
from sop.aio.database import Database, DatabaseOptions, DatabaseType, RedisCacheConfig

__all__ = ["Database", "DatabaseOptions", "DatabaseType", "Item", "Model", "RedisCacheConfig"]
