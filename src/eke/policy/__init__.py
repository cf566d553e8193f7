"""Who is answered next, where, and who is told no: machines without a clock."""
