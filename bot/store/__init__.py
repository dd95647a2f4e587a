"""The database: tables, and one module for each port."""
