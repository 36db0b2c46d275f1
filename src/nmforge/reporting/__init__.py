"""Tables, the ledger of claims, figures and the report."""
