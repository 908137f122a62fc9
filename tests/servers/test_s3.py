"""The object store keeps what it is given, and lists it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.servers.conftest import Store

pytestmark = pytest.mark.servers


def test_objects_come_back(s3_server: Store, pictures: list[Path]) -> None:
    s3_server.put("photos")
    for picture in pictures:
        s3_server.put(f"photos/some/{picture.name}", picture.read_bytes())
    listing = s3_server.get("photos?list-type=2&prefix=some/").decode()
    assert re.findall(r"<Key>some/(.*?)</Key>", listing) == [picture.name for picture in pictures]
    assert s3_server.get(f"photos/some/{pictures[3].name}") == pictures[3].read_bytes()
    with pytest.raises(HTTPError, match="404") as refused:
        s3_server.get("photos/none.jpg")
    refused.value.close()
