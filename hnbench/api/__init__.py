"""The functions of `import hnbench`: one for each command, with its options as parameters."""
