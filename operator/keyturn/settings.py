"""The operator's environment, read once at the start. What the chart can set is here, and nothing is read anywhere else."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from keyturn.domain.observed import Limits

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    """The namespace that the process runs in; `default` outside a cluster."""
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"


class Settings(BaseSettings):
    """Environment variables KEYTURN_…; durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix="KEYTURN_", frozen=True, extra="ignore")

    namespaces: Annotated[tuple[str, ...], NoDecode] = ()  # none: the whole cluster
    namespace: str = Field(default_factory=own_namespace)
    listen: str = "0.0.0.0:8080"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "text"] = "auto"
    lease_namespace: str = Field(default_factory=own_namespace)
    lease_name: str = "keyturn"
    lease_seconds: float = Field(default=15.0, ge=3, le=300)
    identity: str = Field(default_factory=lambda: f"{os.environ.get('POD_NAME') or socket.gethostname()}_{os.getpid()}")
    margin_seconds: float = Field(default=5.0, ge=0, le=600)
    stuck_grace_seconds: float = Field(default=300.0, ge=0, le=86_400)
    max_restarting: int = Field(default=50, ge=1, le=10_000)
    workers: int = Field(default=150, ge=1, le=1000)
    connections: int = Field(default=64, ge=8, le=1000)
    aws_threads: int = Field(default=16, ge=1, le=200)
    resync_seconds: float = Field(default=600.0, ge=10)

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError("must be ADDRESS:PORT, for example 0.0.0.0:8080")
        return value

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0 takes a free one."""
        return int(self.listen.rpartition(":")[2])

    @property
    def limits(self) -> Limits:
        """What decisions depend on."""
        return Limits(
            margin=timedelta(seconds=self.margin_seconds),
            stuck_grace=timedelta(seconds=self.stuck_grace_seconds),
            max_restarting=self.max_restarting,
        )
