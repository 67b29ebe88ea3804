"""What HTTP itself takes: how a call is received and answered, whatever it is about."""
