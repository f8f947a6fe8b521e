"""Models in Python for mlpipeline, which trains and compares their versions.

A model script sets the global MODEL to a helper.Model with utils.Versions; mlpipeline runs it.
"""
__version__ = "0.1.0"
