"""moto's server as an object store: S3 over HTTP, in memory, empty at the start, open to any key.

With s3fs: ``s3fs.S3FileSystem(key=..., secret=..., endpoint_url="http://127.0.0.1:PORT")``, or with nothing in the code
``AWS_ENDPOINT_URL=http://127.0.0.1:PORT AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x``, which botocore reads.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "common"))
from lifeline import end_with_starter
from moto.server import main as moto


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http-port", type=int, required=True)
    options = parser.parse_args()
    end_with_starter()
    moto(["-H", "127.0.0.1", "-p", str(options.http_port)])


if __name__ == "__main__":
    main()
