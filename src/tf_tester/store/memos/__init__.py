"""What the ledger keeps from run to run: one table of all kinds, and what is more than recalling and remembering."""
