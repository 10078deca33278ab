"""The predecessor's names for databases with vector and model stores, which come later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, Sequence

from sop.database import Database, DatabaseOptions, DatabaseType, RedisCacheConfig

__all__ = ["Database", "DatabaseOptions", "DatabaseType", "Item", "Model", "RedisCacheConfig"]


@dataclass
class Item:
    """A vector with its id and payload."""

    id: str
    vector: Sequence[float] = ()
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass
class Model:
    """A model: how it was made, and its parameters."""

    id: str
    algorithm: str = ""
    parameters: Sequence[float] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    is_active: Optional[bool] = None
