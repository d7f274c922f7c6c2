"""Makes `python -m hnbench` the same as `hnbench`."""

from hnbench.cli.app import main

main()
