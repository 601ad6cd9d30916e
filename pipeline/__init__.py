"""The data flow: source → capture → preprocess → engine → postprocess → overlay → sinks.

Importing this package imports none of the libraries that the stages use; each module imports what it needs.
"""
