"""The two tiny models that ship with the playground, and the scripts that made them."""
