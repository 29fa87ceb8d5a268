"""The parts that a composition is made of."""
