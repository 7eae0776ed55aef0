"""REST: the way of a request, and what every answer has in common."""
