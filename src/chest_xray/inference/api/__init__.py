"""The routes for people and programs."""
