"""What chips cost to make, to own and to risk."""
