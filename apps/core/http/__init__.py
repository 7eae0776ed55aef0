"""REST: the path of a request, and what all answers have in common."""
