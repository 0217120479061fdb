"""Answers on their way from the log to those who follow them."""
