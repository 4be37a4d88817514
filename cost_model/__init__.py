"""What things cost: usage, FLOPs, prices, estimates. Pure; standard library and numpy only."""
