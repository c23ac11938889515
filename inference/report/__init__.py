"""What lies on disk -> one page to look at and listen to."""
