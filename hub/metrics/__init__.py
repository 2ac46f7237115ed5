"""Figures for Prometheus and whoever else reads OpenMetrics 1.0.

- `http` answers scrapes; it knows nothing of figures.
- `grafana.json` is a dashboard of them: import it in Grafana.
- `families` names and describes what a node shows: readings first, then its own health.

Nothing of this room is loaded by a node without `[metrics]`.
"""
