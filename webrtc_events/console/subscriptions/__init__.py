"""The pages of subscriptions: their list, each one, and what an operator may do with it."""
