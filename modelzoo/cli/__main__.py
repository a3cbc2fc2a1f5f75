"""``python -m modelzoo.cli``."""

from modelzoo.cli.app import main

main()
