"""Models, other systems' sounds and controls on the same clips -> their figures, and a page of them."""
