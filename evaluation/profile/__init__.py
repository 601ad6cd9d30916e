"""The command `profile`: how fast the pipeline is, next to the fastest that its engine and decoder could be."""
