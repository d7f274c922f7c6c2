"""What `import hnbench` offers: one function a command, with the command's options as parameters."""
