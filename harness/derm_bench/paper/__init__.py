"""The paper kit: tables, figures, a methods paragraph and a reporting checklist from a run directory."""
