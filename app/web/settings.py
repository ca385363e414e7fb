"""Settings of this room."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from app.foundation.record import Record


class WebSettings(Record):
    """`events_per_second` is per key, 0 for no limit; `body_limit` in bytes.

    `session_secret` signs the pages' sessions; left empty, one is made and kept in the data folder.
    `oidc_issuer` is the identity provider by which people may come in beside keys, `oidc_groups` the claim
    that holds their groups. `metrics_port`: where a worker, which has no other door, answers `/metrics`; 0: nowhere.
    """

    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65_535)
    body_limit: int = Field(8 * 1024 * 1024, ge=1024)
    events_per_second: float = Field(0, ge=0)
    session_secret: SecretStr = SecretStr("")
    session_hours: float = Field(12, gt=0, le=24 * 30)
    metrics_port: int = Field(0, ge=0, le=65_535)
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_scope: str = "openid email"
    oidc_groups: str = "groups"

    @model_validator(mode="after")
    def _whole(self) -> "WebSettings":
        if not self.oidc_issuer:
            return self
        address = urlsplit(self.oidc_issuer)
        if not address.netloc or address.query or address.fragment:
            raise ValueError(
                "oidc_issuer: write it as the provider does, like https://login.example.com/realms/work"
            )
        if address.scheme != "https" and not (address.scheme == "http" and _here(address.hostname or "")):
            raise ValueError("oidc_issuer: it must begin with https://")
        if not self.oidc_client_id:
            raise ValueError("oidc_client_id: the provider knows this service by it")
        return self


def _here(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
