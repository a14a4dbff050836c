"""The authority of a module's servers, as a fixture: import it into a conftest."""

from __future__ import annotations

import pytest

from keyturn_lab.controlplane.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A process trusts it by KEYTURN_CA_BUNDLE, the path of its `certificate`."""
    return Authority(tmp_path_factory.mktemp("authority"))
