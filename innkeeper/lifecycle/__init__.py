"""The domain: events, instances and the machine that folds the one into the other.

Pure: no input or output, no clock, no marketplace's name.
"""
