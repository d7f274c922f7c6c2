"""`python -m hnbench` is `hnbench`."""

from hnbench.cli.app import main

main()
