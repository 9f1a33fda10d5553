"""Keeps Python from looking for garbage while the forkserver imports; ``preload`` ends that."""

import gc

gc.disable()
