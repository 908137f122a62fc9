"""Asking the model: records in, answers out, in parts that survive a kill.

Imported when it is used: it brings numpy and pyarrow.
"""

from m4i_fast.query.asks import Asks
from m4i_fast.query.encoding import EncodeReport, encode
from m4i_fast.query.runner import PART_ROWS, QueryReport, query

__all__ = ["PART_ROWS", "Asks", "EncodeReport", "QueryReport", "encode", "query"]
