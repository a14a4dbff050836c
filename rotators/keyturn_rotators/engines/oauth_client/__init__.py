"""Secrets of OAuth clients: replaced at the registration endpoint (RFC 7592), or beside the old one by declared requests."""

from keyturn_rotators.engines.oauth_client.overlap import Overlap
from keyturn_rotators.engines.oauth_client.single import SingleUser

__all__ = ["Overlap", "SingleUser"]
