"""Files on disk -> one HTML page with players and figures."""
