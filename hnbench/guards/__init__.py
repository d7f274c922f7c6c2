"""What keeps a fault from spreading: answers of plug-ins, signals, memory that runs out."""
