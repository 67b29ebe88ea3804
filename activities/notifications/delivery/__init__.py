"""Delivery: the activity that confirms, plans and sends notifications, with one queue for each channel."""
