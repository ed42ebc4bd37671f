"""What the benchmarks share: the store, the sink, the contenders, what they cost, and how it is shown."""
