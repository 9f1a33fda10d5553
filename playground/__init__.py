"""A playground in which people find out what a language model really does."""

__version__ = "0.1.0"
