"""What outlives a request: documents, works, budgets and rows, in SQLite or PostgreSQL."""
