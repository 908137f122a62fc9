"""gcp-storage-emulator as an object store: Google's storage over HTTP, in memory, empty at the start, open to anybody.

``STORAGE_EMULATOR_HOST=http://127.0.0.1:PORT`` leads gcsfs there. It asks first, by gRPC with TLS, what kind of store
it is, which the emulator does not know, and waits a minute; ``GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false`` spares that.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "common"))
from gcp_storage_emulator.server import create_server
from lifeline import end_with_starter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http-port", type=int, required=True)
    options = parser.parse_args()
    end_with_starter()
    server = create_server("127.0.0.1", options.http_port, in_memory=True)
    server.start()
    signal.pause()


if __name__ == "__main__":
    main()
