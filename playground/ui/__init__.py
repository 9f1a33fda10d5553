"""The page: one file a tab, and the one token view."""
