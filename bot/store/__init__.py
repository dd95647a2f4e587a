"""The SQL side: tables, and one module per port."""
