"""What is predicted of a prompt: right answers and lengths, before and after a probe."""
