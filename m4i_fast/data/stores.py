"""Files of this machine and objects of a store (``s3://``, ``gs://``, ``hf://`` ...) under one door: fsspec's.

Keys, endpoints and regions are the store's own affair: they come from where its client looks (environment variables,
profile files, the metadata of a cloud's machine), never from a URL.
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from m4i_fast.data.files import open_regular
from m4i_fast.data.locators import is_url
from m4i_fast.errors import DataError, M4IError

__all__ = [
    "NOT_FETCHED",
    "SCHEMES",
    "Remote",
    "Source",
    "as_source",
    "filesystem",
    "open_source",
    "opened",
    "reading",
    "shown",
    "unreadable",
    "why_refused",
    "why_unfetched",
]

NOT_FETCHED = "image file could not be fetched"
"""How the reason begins of a picture that a store did not give now, and may give later."""


SCHEMES: Mapping[str, str] = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "hf": "huggingface_hub",
    "memory": "fsspec",
}
"""Stores that are read, and the package behind each. ``https://`` is none: a list of pictures from elsewhere could make
this machine call any address."""

CURE = "Give a path, or a URL of s3://, gs:// or hf://."

BLOCK = 8 << 20
"""Bytes that an object is read ahead by, where it is read from its beginning to its end."""

_PASSWORD = re.compile(r"[a-z0-9+.-]+://[^/@]*:[^/@]*@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Remote:
    """An object or folder of a store: as much of ``pathlib.Path`` as the readers ask for.

    Attributes:
        url: ``scheme://...`` without a slash at its end.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """What follows the last slash."""
        return posixpath.basename(self.url)

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        """The name's last part from its full stop on; empty where there is none."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> Remote:
        """The folder that holds it."""
        scheme, _, rest = self.url.partition("://")
        return Remote(f"{scheme}://{posixpath.dirname(rest)}")

    def is_dir(self) -> bool:
        """Whether it is a folder (a prefix with objects below it)."""
        files, path = filesystem(self.url)
        return bool(_asked(self, files.isdir, path))

    def is_file(self) -> bool:
        """Whether it is an object."""
        files, path = filesystem(self.url)
        return bool(_asked(self, files.isfile, path))


Source = Path | Remote


def as_source(text: str | Path | Remote) -> Source:
    """A user's word for data: a path, or the URL of a store.

    Raises:
        DataError: a URL of a scheme that is not read, or one that holds a password.
    """
    if isinstance(text, Remote | Path):
        return text
    if not is_url(text):
        return Path(text)
    reason = why_refused(text)
    if reason:
        raise DataError(reason, where=shown(text), cure=CURE)
    scheme, _, rest = text.partition("://")
    return Remote(f"{scheme.lower()}://{rest.rstrip('/')}")


def why_refused(url: str) -> str | None:
    """Why a URL is not read, whatever lies under it; None where it may be."""
    scheme = url.partition("://")[0].lower()
    if "::" in url:
        return "chained URLs are not read"
    if scheme not in SCHEMES:
        return f"URLs of {scheme}:// are not read"
    if _PASSWORD.match(url):
        return "a URL must hold no password"
    return None


def shown(url: str) -> str:
    """A URL without the password that may stand in it."""
    return _PASSWORD.sub(lambda found: found[0].partition("://")[0] + "://***@", url)


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, of fsspec (one a process for each store), and the path in it.

    Raises:
        ExtraMissing: the store's package is not installed.
        DataError: the URL is refused, or the store's client cannot be made.
    """
    reason = why_refused(url)
    if reason:
        raise DataError(reason, where=shown(url), cure=CURE)
    from m4i_fast.extras import require

    scheme = url.partition("://")[0].lower()
    fsspec = require("fsspec", why=f"reading {scheme}://", extra="cloud")
    require(SCHEMES[scheme], why=f"reading {scheme}://", extra="cloud")
    try:
        files = fsspec.filesystem(scheme)
    except Exception as error:  # clients raise whatever they miss
        raise DataError(
            f"the store cannot be opened ({_first_line(error)})",
            where=url,
            cure="Check its settings in the environment.",
        ) from error
    return files, files._strip_protocol(url)  # noqa: SLF001 - fsspec's own word for it; url_to_fs would follow chains


def opened(source: Source, *, block: int = BLOCK) -> BinaryIO:
    """Open for reading; raises what the operating system or the store's client raises.

    Args:
        source: a file or an object.
        block: bytes that an object is read ahead by.
    """
    if isinstance(source, Path):
        return open_regular(source)
    files, path = filesystem(source.url)
    return cast("BinaryIO", files.open(path, "rb", block_size=block, cache_type="readahead"))


def open_source(source: Source) -> BinaryIO:
    """Open for reading, to be read from beginning to end.

    Raises:
        DataError: it is absent, no regular file, or cannot be read.
    """
    try:
        return opened(source)
    except M4IError:
        raise
    except FileNotFoundError as error:
        raise DataError("no such file", where=source, cure="Check the path.") from error
    except (OSError, ValueError) as error:
        raise unreadable(source, error) from error
    except Exception as error:  # what a store's client raises has no root of its own
        if isinstance(source, Path):
            raise
        raise unreadable(source, error) from error


@contextmanager
def reading(source: Source) -> Iterator[BinaryIO]:
    """``open_source``, and whatever fails while it is read is a DataError too."""
    with open_source(source) as file:
        try:
            yield file
        except M4IError:
            raise
        except OSError as error:
            raise unreadable(source, error) from error


def why_unfetched(error: BaseException) -> tuple[str, bool]:
    """Why an object gave no bytes, in plain words for a record's ``error``; and whether it may be there in a moment."""
    if isinstance(error, FileNotFoundError):
        return "image file not found", False
    if isinstance(error, PermissionError):
        return "image file may not be read (the store refuses these credentials)", False
    if isinstance(error, IsADirectoryError):
        return "image path is a folder, not a file", False
    if isinstance(error, OSError) and error.errno == errno.EINVAL:
        return f"image file cannot be read ({_first_line(error)})", False
    return f"{NOT_FETCHED} ({_first_line(error)})", True


def _asked(remote: Remote, ask: Any, path: str) -> Any:
    try:
        return ask(path)
    except Exception as error:  # the client's own exceptions: no network, no credentials
        raise unreadable(remote, error) from error


def unreadable(source: Source, error: Exception) -> DataError:
    """What to raise where a data file cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
    return DataError(f"cannot be read ({reason})", where=source, cure="Give a file that can be read.")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    text = lines[0] or type(error).__name__
    return text if len(text) <= 160 else text[:160] + "..."
