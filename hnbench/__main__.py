"""`python -m hnbench` is `hnbench`."""

from hnbench.cli import main

main()
