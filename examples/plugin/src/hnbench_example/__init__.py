"""An example of a plug-in of hnbench: a method, a reward and a measure."""
