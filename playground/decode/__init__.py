"""Decoding, one step at a time, with everything that chose each token reported."""
