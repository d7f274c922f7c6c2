"""The sections of a report's text, a file each: `section` returns it, or nothing to say nothing."""
