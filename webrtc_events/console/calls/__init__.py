"""The pages of calls: those of late, the ladder of each, and what its entries hold."""
