"""Guards that keep a fault from spreading: plug-ins' answers, signals, lack of memory."""
