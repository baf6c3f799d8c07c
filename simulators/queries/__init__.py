"""Set prediction in the plane, with rewards that have a gradient."""
