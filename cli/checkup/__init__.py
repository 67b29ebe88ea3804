"""What `placet doctor` looks at: this machine, the database, the engine, and who sends mail."""
