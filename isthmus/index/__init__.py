"""Binary codes in memory and on disk, and exact search among them."""
