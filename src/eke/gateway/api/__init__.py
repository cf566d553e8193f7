"""What clients see: OpenAI's API, and what eke adds to it."""
