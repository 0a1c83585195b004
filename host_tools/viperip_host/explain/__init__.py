"""`viperip explain`: frames drawn layer by layer, and what the ends do with them."""
