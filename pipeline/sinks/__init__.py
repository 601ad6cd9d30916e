"""Where scenes go: video, scene files, label pictures, a window. `factory.open_sink` chooses."""
