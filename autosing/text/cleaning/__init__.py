"""A lyrics file -> its lines, each sung or not, and why."""
