"""Looks into a loaded model: what it is made of and what it computes. It knows no decoding."""
