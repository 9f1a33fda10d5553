"""From a model id to a loaded model, and between text and ids."""
