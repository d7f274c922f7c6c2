"""Tables, plots and text from records alone. Nothing here imports torch."""
