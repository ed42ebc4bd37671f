"""`make soak`: hours of load, faults by chance, and whether anything is lost or grows."""
