"""Logs, metrics, traces and redaction for operators, and supervised tasks."""
