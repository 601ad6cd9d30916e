"""Live cameras: an address becomes a connection, kept alive by a thread of its own."""
