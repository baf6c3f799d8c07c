"""The pages of the dashboard: widgets and words, no arithmetic; one file is one page."""
