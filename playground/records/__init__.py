"""Runs that were kept, in SQLite: who owns them, how they are found, and when they go."""
