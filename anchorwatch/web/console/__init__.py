"""The pages for people: what a path shows, and the forms on it."""
