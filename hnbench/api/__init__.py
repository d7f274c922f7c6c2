"""What `import hnbench` offers: a function for each command, with its options as parameters."""
