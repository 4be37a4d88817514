"""What policies would have done with recorded traffic, and what that would have come to."""
