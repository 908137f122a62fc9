"""``python -m m4i_fast``."""

from m4i_fast.cli.main import main

main()
