"""What a gateway says about itself: metrics, spans, and the id of each request."""
