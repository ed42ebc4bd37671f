"""What is reported to operators: conditions with a beginning and an end, as CloudEvents to their sink."""
