"""The three tiny models that ship with the playground, and the scripts that made them."""
