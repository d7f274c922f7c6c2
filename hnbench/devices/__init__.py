"""Where work runs: processes that a launcher started, and copies between host and device."""
