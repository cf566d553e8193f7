"""Who gets scarce chips, and what to do about the supply: questions that plan, then choose."""
