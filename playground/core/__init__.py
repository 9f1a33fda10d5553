"""The values that everything speaks: prompt, decoding, run, events, trace. Standard library."""
