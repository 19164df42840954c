"""Programs that nobody has read: the code in an answer, and the sandbox that it runs in."""
