"""The configuration file, one table per file; `file` reads it whole."""
