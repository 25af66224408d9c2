"""What operators ask and do, a module a verb. No server, no terminal."""
