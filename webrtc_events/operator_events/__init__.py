"""What operators are told of: conditions with a beginning and an end, as CloudEvents to a sink of theirs."""
